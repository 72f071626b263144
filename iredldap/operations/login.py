"""Find out who is calling, with which rights, and check their password."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from iredldap import finders
from iredldap.config.sections import Config
from iredldap.directory_errors import AmbiguousAccount
from iredldap.dit import kinds, mail_names, names, passwords, settings, user
from iredldap.dit.api_tokens import ApiToken
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Elsewhere, Field, Table
from iredldap.dit.kinds import Kind, Reading
from iredldap.dit.plan import Query, Scope
from iredldap.errors import EmptyPassword, InvalidCredentials, InvalidMail, InvalidUsername
from iredldap.gateways.directory import Directory

_ATTRIBUTES = ("*", "entryCSN", "entryUUID")


def username(text: str) -> str:
    """Read a login name.

    Raises:
        InvalidUsername: If it is no mail address.
    """
    try:
        return mail_names.existing_address(text)
    except InvalidMail as ex:
        raise InvalidUsername("no mail address", parameter="username") from ex


_LOGIN_NAME = Kind("email", lambda text: Reading((username(text),)), kinds.ADDRESS.schema)

LOGIN: Table = (
    Field(
        name="username",
        stored_as=Elsewhere("the bind DN"),
        kind=_LOGIN_NAME,
        meaning="Address of a standalone admin, or of a mail user who is an admin.",
        required=True,
        missing=lambda: InvalidUsername("no name"),
    ),
    Field(
        name="password",
        stored_as=Elsewhere("the bind password"),
        kind=kinds.PASSWORD,
        meaning="Password in clear text.",
        required=True,
        missing=lambda: EmptyPassword("no password"),
    ),
)


@dataclass(frozen=True)
class Caller:
    """An admin who calls, with a session or a token.

    `managed` maps the names of a normal admin's domains to their entries; it is empty for a
    global admin, who may do everything. `stored` are the password values of their entry, from
    which the cookie's digest is made, and `uuid` is its entryUUID. `token` is the token of the
    request; with one that is limited to domains the caller is a normal admin of these.
    """

    address: str
    dn: str
    is_global: bool
    stored: tuple[bytes, ...] = field(repr=False)
    managed: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    limits: settings.Settings = field(default_factory=dict)
    uuid: str = ""
    token: ApiToken | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the token of the request is limited to domains."""
        return self.token is not None and bool(self.token.domains)

    def may(self, scope: str) -> bool:
        """Return whether the token has a scope; a session has all."""
        return self.token is None or scope in self.token.scopes

    @property
    def may_create_domains(self) -> bool:
        """Whether the caller may create domains; a normal admin, if their own settings allow it."""
        return self.is_global or "create_new_domains" in self.limits

    def manages(self, domain: str, *, by_alias: bool = False) -> bool:
        """Return whether the caller manages a domain; `by_alias`: also by an alias name."""
        return self.is_global or self.home(domain, by_alias=by_alias) is not None

    def manages_place(self, dn: str) -> bool:
        """Return whether the caller may change entries in the domain of a DN."""
        if self.is_global:
            return True
        name, home = names.domain_name_in(dn), names.domain_dn(dn)
        if name is not None or home is None:
            return name in self.managed
        return any(names.same_dn(home, domain.dn) for domain in self.managed.values())

    def home(self, domain: str, *, by_alias: bool = False) -> Entry | None:
        """Return a domain that a normal admin manages; `by_alias`: also by an alias name."""
        found = self.managed.get(domain)
        if found or not by_alias:
            return found
        named = (entry for entry in self.managed.values() if entry.has("domainAliasName", domain))
        return next(named, None)


def digest(stored: tuple[bytes, ...], key: str) -> str:
    """Return a keyed digest of stored password values, which changes when the password does."""
    mac = hmac.new(key.encode(), b"password", hashlib.sha256)
    for value in sorted(stored):
        # Digests of equal length: values joined as they are could be divided in another way.
        mac.update(hashlib.sha256(value).digest())
    return mac.hexdigest()[:32]


def find_admin(directory: Directory, mail: str) -> Caller | None:
    """Find an active admin: a mail user with rights first, else a standalone admin.

    A mail user without rights hides no standalone admin of the same address.
    """
    query = Query(directory.tree.suffix, Scope.SUBTREE, finders.own_address(mail), _ATTRIBUTES)
    found = directory.find(query)
    try:
        account = finders.choose_account(directory, found, mail, "mailUser")
        standalone = finders.single(finders.standalone_admins(directory, found), mail)
    except AmbiguousAccount:
        # It cannot be decided which of them was meant, so neither may log in.
        return None
    for entry in (account, standalone):
        if entry and finders.is_active_with_domain(directory, entry):
            caller = _caller(directory, mail, entry)
            if caller:
                return caller
    return None


def _caller(directory: Directory, mail: str, entry: Entry) -> Caller | None:
    # Limits are read with the caller, at most `session.recheck` seconds before they are judged; the
    # counts are taken anew by each operation.
    limits = settings.read(entry.texts(settings.ATTRIBUTE))
    stored, uuid = tuple(entry.values("userPassword")), entry.text("entryUUID") or ""
    # They need no list of domains: on a large installation that would be a search of all domains at
    # each login.
    if user.is_global_admin(entry):
        return Caller(mail, entry.dn, is_global=True, stored=stored, uuid=uuid)
    if entry.has("objectClass", "mailUser") and not entry.has("enabledService", "domainadmin"):
        return None
    managed = directory.find(finders.managed_domains_query(directory, mail))
    # Read with the caller, so that rights are judged without another search in the same request.
    by_name = {domain.folded("domainName"): domain for domain in managed}
    return Caller(
        mail,
        entry.dn,
        is_global=False,
        stored=stored,
        managed=by_name,
        limits=limits,
        uuid=uuid,
    )


def log_in(directory: Directory, config: Config, username: str, password: str) -> Caller:
    """Check name and password of an admin.

    A wrong name costs a bind as a right one does, and a hash where hashes are slow on purpose:
    the time of the answer must not reveal which names exist.

    Raises:
        InvalidCredentials: For every mismatch alike.
    """
    # Not even asked of the directory: crypt() ends at a NUL byte, so a bind with `right\0anything`
    # could succeed.
    if not passwords.may_be_one(password):
        raise InvalidCredentials(f"login as {username}")
    caller = find_admin(directory, username)
    dn = caller.dn if caller else directory.tree.admin(username)
    if caller is None and passwords.longest_for(config.passwords.password_scheme):
        passwords.hashed(password, "BCRYPT", bytes(16), config.passwords.bcrypt_rounds)
    # The bind first, also without a caller: that it is left out would show in the time of the
    # answer.
    if not directory.verifies(dn, password) or caller is None:
        raise InvalidCredentials(f"login as {username}")
    return caller
