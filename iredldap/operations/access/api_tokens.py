"""Create, list and delete API tokens, and find out what the caller of one may do.

A token can never do more than its admin at the moment: the admin is looked up as for a session,
and the token only takes rights away.

Source: `docs/decisions/0057-tokens.md`.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from iredldap import finders
from iredldap.config.sections import TokenSettings
from iredldap.dit import api_tokens, token_scopes
from iredldap.dit.api_tokens import ApiToken
from iredldap.dit.entry import Entry
from iredldap.dit.fields import Parsed
from iredldap.errors import (
    InvalidParameter,
    LoginRequired,
    NoSuchAccount,
    NoSuchToken,
    TokenTooWide,
)
from iredldap.gateways.access.api_tokens import ApiTokens
from iredldap.gateways.directory import Directory
from iredldap.limit_errors import ExceedLimitTokens
from iredldap.operations.login import Caller, find_admin

_DAY = 24 * 3600


@dataclass(frozen=True)
class TokenManager:
    """Creates, lists and deletes the tokens of an installation.

    Args:
        directory: Where the admins are.
        stored: Where the tokens are.
        settings: Limits of new ones.
        now: Returns the time, in seconds since 1970.
        random: Returns some random bytes.
    """

    directory: Directory
    stored: ApiTokens
    settings: TokenSettings
    now: Callable[[], float] = time.time
    random: Callable[[int], bytes] = field(default=os.urandom)

    def create(self, caller: Caller, parsed: Parsed) -> tuple[ApiToken, str]:
        """Create a token of the caller; return it, and its secret, which is not stored.

        Raises:
            TokenTooWide: If it would do more than the caller: in scopes, domains, networks or time.
            NoSuchAccount: If a global admin names a domain that does not exist.
            InvalidParameter: If it would have ended already, or ends too late; if a limit is empty.
            ExceedLimitTokens: If the admin has as many as they may.
            ServerDown: If the state database does not respond.
        """
        # A script whose variable is empty would ask for a token without a limit where it meant one.
        for change in parsed.changes:
            if not change.values:
                raise InvalidParameter("empty", parameter=change.field.name)
        now = int(self.now())
        secret = api_tokens.new_secret(self.random(api_tokens.RANDOM_BYTES))
        digest = api_tokens.digest(secret)
        wanted = ApiToken(
            id=api_tokens.id_of(digest),
            digest=digest,
            admin=caller.address,
            # Not the address alone: who gets the address next must not get the token too.
            account=caller.uuid,
            is_global=caller.token.is_global if caller.token else caller.is_global,
            name=parsed.value("name") or "",
            scopes=_values(parsed, "scopes") or (token_scopes.DEFAULT,),
            domains=_values(parsed, "domains"),
            networks=_values(parsed, "networks"),
            parent=caller.token.id if caller.token else "",
            created=now,
            expires=self._end(caller, parsed, now),
        )
        # Narrowed before domains are judged, as these may come from the token that creates.
        token = _within(wanted, caller.token) if caller.token else wanted
        self._refuse_foreign_domains(caller, token)
        # Counted where it is stored, under locks: two requests at once would both find room.
        if not self.stored.add(token, self.settings.per_admin):
            raise ExceedLimitTokens(f"{caller.address}: {self.settings.per_admin}")
        return token, secret

    def _end(self, caller: Caller, parsed: Parsed, now: int) -> int | None:
        most = self.settings.max_days
        latest = now + most * _DAY if most else None
        sent = parsed.value("expires")
        if sent is None:
            ends = (latest, caller.token.expires if caller.token else None)
            return min((end for end in ends if end is not None), default=None)
        end = int(sent)
        if end <= now or (latest is not None and end > latest):
            words = f"from now to {most} days" if most else "in the future"
            raise InvalidParameter(f"a token ends {words}", parameter="expires")
        return end

    def _refuse_foreign_domains(self, caller: Caller, token: ApiToken) -> None:
        foreign = [name for name in token.domains if not caller.manages(name)]
        if foreign:
            raise TokenTooWide(f"{caller.address}: {foreign[0]}", parameter="domains")
        # A name that no domain has yet would give the token that domain on the day when another
        # admin creates it.
        if caller.is_global and token.domains:
            missing = {*token.domains} - named_domains(self.directory, token.domains).keys()
            if missing:
                raise NoSuchAccount(f"domain {min(missing)}", parameter="domains")

    def visible(self, caller: Caller) -> list[ApiToken]:
        """Return the tokens that a caller may see, the oldest first.

        A global admin sees all, a normal one their own. With a token that is limited to domains one
        sees that token, and those that it created.

        Raises:
            ServerDown: If the state database does not respond.
        """
        everyone = caller.is_global and not caller.is_limited
        found = self.stored.tokens(None if everyone else caller.address)
        if caller.token is None or not caller.is_limited:
            return found
        parents = {token.id: token.parent for token in found}
        own = api_tokens.with_descendants([caller.token.id], parents)
        return [token for token in found if token.id in own]

    def get(self, caller: Caller, id_: str) -> ApiToken:
        """Return a token that a caller may see.

        Raises:
            NoSuchToken: If there is none.
            ServerDown: If the state database does not respond.
        """
        for token in self.visible(caller):
            if token.id == id_:
                return token
        raise NoSuchToken(id_[:40])

    def delete(self, caller: Caller, id_: str) -> set[str]:
        """Delete a token that a caller may see, and those that it created; return all their ids.

        Raises:
            NoSuchToken: If there is none.
            ServerDown: If the state database does not respond.
        """
        return self.stored.delete([self.get(caller, id_).id])

    def caller_of(self, id_: str) -> Caller | None:
        """Return the caller of a token by its id; None: it has ended, or its admin is none now.

        Raises:
            ServerDown: If the state database or the directory does not respond.
        """
        token = self.stored.find(id_)
        if token is None or token.is_expired(self.now()):
            return None
        return self._caller(token)

    def caller(self, token: ApiToken) -> Caller:
        """Return the caller of a token, with the rights that they have now.

        Raises:
            LoginRequired: If its admin is none any more, or not in the role in which they created
                it: demoted, disabled, renamed or deleted.
            ServerDown: If the directory does not respond.
        """
        caller = self._caller(token)
        if caller is None:
            raise LoginRequired(f"token {token.id} of {token.admin}, who is no admin")
        return caller

    def _caller(self, token: ApiToken) -> Caller | None:
        admin = find_admin(self.directory, token.admin)
        # A token of a normal admin does not grow with a promotion, and one of a global admin does
        # not live on after a demotion.
        if admin is None or (admin.uuid, admin.is_global) != (token.account, token.is_global):
            return None
        return limited(self.directory, admin, token)


def limited(directory: Directory, admin: Caller, token: ApiToken) -> Caller:
    """Return an admin as the caller of a token.

    Limited to domains, they are a normal admin of those that they manage among these, without the
    right to create others.
    """
    if not token.domains:
        return replace(admin, token=token)
    managed = (
        named_domains(directory, token.domains)
        if admin.is_global
        else {name: found for name, found in admin.managed.items() if name in token.domains}
    )
    # Without limits there is no right to create domains, which is one of them.
    return replace(admin, token=token, is_global=False, managed=managed, limits={})


def named_domains(directory: Directory, domains: Iterable[str]) -> dict[str, Entry]:
    """Return the domains that exist of some names, which are not those of alias domains."""
    found = directory.find(finders.named_domains_query(directory, domains))
    return {domain.folded("domainName"): domain for domain in found}


def _within(wanted: ApiToken, maker: ApiToken) -> ApiToken:
    """Return a new token within the bounds of the one that creates it.

    What was not asked for is as the maker has it.

    Raises:
        TokenTooWide: If more was asked for than it has.
    """
    token = replace(
        wanted,
        domains=wanted.domains or maker.domains,
        networks=wanted.networks or maker.networks,
    )
    for parameter in api_tokens.wider_in(token, maker):
        raise TokenTooWide(f"by token {maker.id}", parameter=parameter)
    return token


def _values(parsed: Parsed, parameter: str) -> tuple[str, ...]:
    sent = (change.values for change in parsed.changes if change.field.name == parameter)
    return next(sent, ())


def shown(token: ApiToken) -> dict[str, object]:
    """Return a token as answers have it: without its secret, times in UTC."""
    return {
        "id": token.id,
        "admin": token.admin,
        "name": token.name,
        "scopes": list(token.scopes),
        "domains": list(token.domains),
        "networks": list(token.networks),
        "parent": token.parent or None,
        "created": _time(token.created),
        "expires": None if token.expires is None else _time(token.expires),
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
