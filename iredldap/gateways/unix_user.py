"""The Unix user who runs a command, as the change log names them."""

import os
import pwd


def name() -> str:
    """Return ``unix:NAME``; with the number where the user has no name, as in some containers.

    Not by the environment, which the user can set.
    """
    number = os.getuid()
    try:
        return f"unix:{pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"unix:{number}"
