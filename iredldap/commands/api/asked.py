"""What a command asks of the API, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO
from urllib.parse import quote

from iredldap.commands.api.answers import Form
from iredldap.commands.api.rows import Call


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command asks for.

    Args:
        call: The call.
        names: The variables of its path.
        form: Its parameters.
        word: What the thing is that it names: a user, a domain.
        dry_run: Whether it is only shown what would be done.
        waits: Whether the end of a change is waited for.
        file: The body, where it is a file.
        may_be_job: Whether a job may carry it out: what a job is to do is stored until its end.
    """

    call: Call
    names: Mapping[str, str] = field(default_factory=dict)
    form: Form = field(default_factory=dict)
    word: str = "account"
    dry_run: bool = False
    waits: bool = True
    file: IO[bytes] | None = None
    may_be_job: bool = True

    @property
    def path(self) -> str:
        """The path with its variables."""
        return self.call.path.format_map({n: quote(v, safe="@") for n, v in self.names.items()})

    @property
    def name(self) -> str:
        """The name of the thing, for messages; empty: it has none."""
        return next(iter(self.names.values()), "")

    def with_form(self, **values: str) -> "Asked":
        """Return the same with other values of some parameters."""
        return replace(self, form={**self.form, **{n: [v] for n, v in values.items()}})
