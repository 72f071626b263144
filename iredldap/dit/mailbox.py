"""Mailbox paths: that of a new user, and whether two paths overlap.

Nothing computes the path again later: only what is stored counts, and it is lower case
throughout, because Dovecot lowers what it reads.

Source: iRedMail's directory, homeDirectory.
"""

import posixpath
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from iredldap.config.accounts import AccountSettings
from iredldap.dit import mail_names
from iredldap.dit.entry import Entry
from iredldap.dit.filters import either, equals, present
from iredldap.dit.kinds import LONGEST_PATH
from iredldap.dit.plan import Query, Scope

ATTRIBUTES = ("mail", "homeDirectory", "storageBaseDirectory", "mailMessageStore")
"""Attributes that give the owner and the path of a mailbox."""


def stored_path(entry: Entry) -> str:
    """Return the directory of a user's mailbox; empty: there is none."""
    base, store = entry.text("storageBaseDirectory"), entry.text("mailMessageStore")
    # The pair is the older form. Dovecot's user database asks for homeDirectory, so that one
    # decides.
    return entry.text("homeDirectory") or (f"{base}/{store}" if base and store else "")


def location(entry: Entry) -> str:
    """Return the directory of a user's mailbox as `normalized` writes it; empty: none."""
    return normalized(stored_path(entry))


def normalized(path: str) -> str:
    """Return a path as it is compared: lower case, single slashes, one slash at its end.

    An empty path stays empty. `.` and `..` are resolved, links are not.
    """
    word = path.lower()
    if "//" not in word and "/." not in word:
        # Nearly all are of this form, and whole directories of them are compared.
        return word if word.endswith("/") or not word else f"{word}/"
    # Two slashes at the beginning are kept by normpath (POSIX leaves their meaning open), so they
    # go before.
    return posixpath.normpath(re.sub("/+", "/", word)).rstrip("/") + "/"


def is_a_directory_of_its_own(path: str) -> bool:
    """Return whether a normalized path is absolute, and is not the root: others can be compared."""
    return path.startswith("/") and path != "/"


def above(path: str) -> Iterator[str]:
    """Yield the directories above a normalized path, the nearest first, without the root."""
    end = path.rfind("/", 0, -1)
    while end > 0:
        yield path[: end + 1]
        end = path.rfind("/", 0, end)


class PathSet:
    """Return which of some directories a path touches: is equal to, lies in or holds.

    Args:
        paths: The directories, normalized.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths) - {"", "/"}
        self._ordered = sorted(self.paths)

    def overlapping(self, path: str) -> frozenset[str]:
        """Return the directories that a normalized path touches; the root touches none."""
        # Nearly all paths that are asked about touch none.
        found: list[str] = []
        end = path.rfind("/", 0, -1)
        while end > 0:
            # Looked up by its parents, and then the sorted neighbours: both cost the depth of a
            # path, not the number of mailboxes.
            if path[: end + 1] in self.paths:
                found.append(path[: end + 1])
            end = path.rfind("/", 0, end)
        if len(path) > 1:
            # What lies in a directory follows it in this order.
            at = bisect_left(self._ordered, path)
            while at < len(self._ordered) and self._ordered[at].startswith(path):
                found.append(self._ordered[at])
                at += 1
        return frozenset(found)


# The time of the creation, to the second: what makes a generated path unlike all earlier ones.
_STAMP = re.compile(r"-\d{4}(?:\.\d\d){5}/\Z")


def is_inside_a_mailbox(path: str) -> bool:
    """Return whether a directory above a normalized path has the name of a generated mailbox.

    Such a directory is a user's mailbox, was one, or becomes one.
    """
    return any(_STAMP.search(directory, directory.rfind("/", 0, -1)) for directory in above(path))


def ends_in_a_time(path: str) -> bool:
    """Return whether a normalized path is one that nothing but its own account was ever given."""
    return bool(_STAMP.search(path))


def folders(domain: str, storage_base: str) -> tuple[str, ...]:
    """Return the directories that hold nothing but mailboxes of a domain, normalized.

    The second one is that of `maildir_domain_hashed`. No other domain has a directory above or
    below it, whether the setting is on or off: the directories between have one-letter names,
    and a domain name has a dot.
    """
    base = normalized(storage_base)
    return (f"{base}{domain}/", f"{base}{'/'.join(_first_two(domain))}/{domain}/")


def overlap_query(
    base: str,
    paths: Collection[str],
    *,
    spelled: Iterable[str] = (),
    exempt: Collection[str] = (),
) -> Query:
    """Search by index for accounts whose mailbox is equal to one of some paths, or holds one.

    What lies inside is not found: there is neither a substring nor an ordering rule for these
    attributes. Neither are spellings with capitals, or with more than one slash at the end.
    Accounts with another mailbox path may be among those found. Those of the older form, without
    `homeDirectory`, are found where all paths end in a time only if their path is split as in
    iRedMail's trees, behind its second component.

    Args:
        base: DN below which to search.
        paths: Normalized.
        spelled: Further spellings of them.
        exempt: Directories above them that do not matter.
    """
    # Directories above are few and known, so they can be asked for by an index of equality;
    # directories below cannot.
    wanted = {*paths, *(directory for path in paths for directory in above(path))} - {*exempt}
    forms = sorted({form for path in wanted for form in (path, path.rstrip("/"))} | {*spelled})
    stores = _usual_stores(forms) if all(map(ends_in_a_time, paths)) else _stores(forms)
    terms = (
        *(equals("homeDirectory", form) for form in forms),
        *(equals("mailMessageStore", store) for store in stores),
    )
    return Query(base, Scope.SUBTREE, either(*terms), ATTRIBUTES)


def _stores(forms: Iterable[str]) -> list[str]:
    """Return values of `mailMessageStore` that make one of some paths with what is before them."""
    splits = ((form, at) for form in forms for at in range(1, len(form) - 1) if form[at] == "/")
    return sorted({form[at + 1 :] for form, at in splits})


def query_by_path(base: str, path: str) -> Query:
    """Search by index for accounts whose mailbox is at a normalized path.

    Args:
        base: DN below which to search.
        path: The path.
    """
    forms = (path, path.rstrip("/"))
    terms = (equals("homeDirectory", form) for form in forms)
    return Query(base, Scope.SUBTREE, either(*terms), ATTRIBUTES)


def _usual_stores(forms: Iterable[str]) -> list[str]:
    rest = (form.split("/", 3)[3:] for form in forms)
    return sorted({store for stores in rest for store in stores if store})


def mailboxes_query(base: str) -> Query:
    """Search for all accounts with a mailbox below a DN."""
    having = either(present("homeDirectory"), present("mailMessageStore"))
    return Query(base, Scope.SUBTREE, having, ATTRIBUTES)


LATEST = 1000
"""Seconds that the time in a generated path may be ahead, where others have the earlier ones."""

_TOGETHER = 50


def candidates(
    mail: str, storage_base: str, accounts: AccountSettings, now: datetime
) -> Iterator[tuple[str, ...]]:
    """Yield paths for a new mailbox, the best first, those that are looked up at once together.

    After the path of this second come those of the next ones, also directly in the directory of
    the domain: a directory named after letters of the address may be a user's mailbox. A path
    without a time, where that is the setting, is followed by those with one.
    """
    yield (path(mail, storage_base, accounts, now),)
    stamped = replace(accounts, maildir_append_timestamp=True)
    forms = {stamped: None, replace(stamped, maildir_hashed=False): None}
    # Fifty at once: one search for all of them costs little more than one for a single path.
    for first in range(0, LATEST, _TOGETHER):
        moments = [now + timedelta(seconds=first + more) for more in range(_TOGETHER)]
        yield tuple(path(mail, storage_base, form, at) for form in forms for at in moments)


def trunk(domain: str, storage_base: str, accounts: AccountSettings) -> str:
    """Return the directory that all generated paths of a domain lie in, normalized."""
    parts = [storage_base.rstrip("/")]
    if accounts.maildir_domain_hashed:
        parts += [*_first_two(domain), domain]
    elif accounts.maildir_prepend_domain:
        parts.append(domain)
    return normalized("/".join(parts) + "/")


def path(mail: str, storage_base: str, accounts: AccountSettings, now: datetime) -> str:
    """Make an absolute path, in lower case and with a slash at its end.

    Of a long name it has the beginning only: one that the table of deleted mailboxes does not hold
    would belong to an account that cannot be deleted.

    Args:
        mail: Address of the user.
        storage_base: Directory to lie below.
        accounts: The four switches of the form.
        now: Local time of the server.
    """
    # In a form that iRedMail's job accepts, which removes the mailboxes of deleted accounts.
    local = mail_names.local_part(mail)
    stamp = now.strftime("-%Y.%m.%d.%H.%M.%S") if accounts.maildir_append_timestamp else ""
    above = trunk(mail_names.domain_of(mail), storage_base, accounts)
    if accounts.maildir_hashed:
        above += "/".join(_first_three(local)).lower() + "/"
    # The time at the end stays whole: it is what makes the path unlike all others.
    room = LONGEST_PATH - len(above) - len(f"{stamp}/")
    return f"{above}{local[: max(room, 1)].lower()}{stamp}/"


def _first_two(domain: str) -> list[str]:
    label = domain.partition(".")[0].lower()
    # As the tools of iRedMail hash; a domain's directories would be in two places otherwise.
    second = label[1] if len(label) > 1 and label[1].isalnum() else "_"
    return [label[0], second]


def _first_three(local: str) -> list[str]:
    return [char if char not in ".~" else "_" for char in local[:3].ljust(3, "_")]
