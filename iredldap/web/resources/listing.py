"""`/api/domains`, `/api/admins`, and the listings of accounts of a domain."""

import string
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from urllib.parse import quote

import falcon

from iredldap.dit.listing import ListingOptions
from iredldap.errors import InvalidParameter
from iredldap.operations.listings import listings
from iredldap.operations.listings.listings import Listing
from iredldap.operations.listings.profiles import ListedKind, Profiles
from iredldap.web import forms
from iredldap.web.downloads import send
from iredldap.web.endpoints.listings import NDJSON
from iredldap.web.head import is_head
from iredldap.web.resources.base import Resource, link_next, name_ignored
from iredldap.web.responses import JSON, lines

_AS_IT_IS = string.punctuation.replace("%", "")
"""What a header can carry of a key, beside letters and digits."""


class _ListingResource(Resource):
    def _list(
        self,
        request: falcon.Request,
        response: falcon.Response,
        listed: ListedKind,
        domain: str = "",
        hidden: tuple[str, ...] = (),
    ) -> None:
        context = request.context
        wanted = ListingOptions.read(context.parsed)
        listing = Listing(self.context(request), listed, domain, hidden, wanted)
        ignored = (*context.parsed.dropped, *listing.ignored)
        if ignored and context.strict:
            words = f"would be ignored: {', '.join(ignored)[:200]}"
            raise InvalidParameter(words, parameter="fields")
        by_lines = forms.wants(request, NDJSON)
        if wanted.names_only or wanted.limit:
            self._send_page(request, response, listing, listed.key if by_lines else "")
        elif is_head(request):
            # Whatever may be refused is refused with the first profiles.
            with closing(listing.profiles()) as profiles:
                next(profiles, None)
            response.content_type = NDJSON if by_lines else JSON
            response.stream = ()
        elif by_lines:
            response.content_type = NDJSON
            send(request, response, lines(_with_keys(listing.profiles(), listed.key)))
        else:
            response.content_type = JSON
            send(request, response, self.responses.members(listing.profiles()))
        name_ignored(response, ignored)

    def _send_page(
        self, request: falcon.Request, response: falcon.Response, listing: Listing, line_key: str
    ) -> None:
        """Send names or a page; as lines if `line_key` names what identifies an entry."""
        page = listing.page()
        if page.next is not None:
            link_next(request, response, quote(page.next, safe=_AS_IT_IS))
        if line_key:
            data = page.data if isinstance(page.data, list) else _with_keys([page.data], line_key)
            response.content_type = NDJSON
            send(request, response, lines(data))
        else:
            self.responses.done(response, page.data, read=True)


def _with_keys(batches: Iterable[Profiles], name: str) -> Iterator[Mapping[str, object]]:
    """Yield profiles without their keys: each has its name or address as a member in any case."""
    for batch in batches:
        for key, profile in batch.items():
            is_named = name in profile or "domain" in profile
            yield profile if is_named else {name: [key], **profile}


class DomainsResource(_ListingResource):
    """All domains of the caller."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        self._list(request, response, listings.DOMAINS)


class UsersResource(_ListingResource):
    """All mail users of a domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        hidden = self.context(request).config.api.api_hidden_user_profiles
        self._list(request, response, listings.USERS, domain, hidden)

    def on_put(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        self.change(request, response, domain=domain)


class AliasesResource(_ListingResource):
    """All mail aliases of a domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        hidden = self.context(request).config.api.api_hidden_user_profiles
        self._list(request, response, listings.ALIASES, domain, hidden)


class ListsResource(_ListingResource):
    """All subscribable lists of a domain, as the directory knows them."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        hidden = self.context(request).config.api.api_hidden_user_profiles
        self._list(request, response, listings.LISTS, domain, hidden)


class MaillistsResource(_ListingResource):
    """All unsubscribable lists of a domain."""

    def on_get(self, request: falcon.Request, response: falcon.Response, domain: str) -> None:
        hidden = self.context(request).config.api.api_hidden_user_profiles
        self._list(request, response, listings.MAILLISTS, domain, hidden)


class AdminsResource(_ListingResource):
    """All standalone admins."""

    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        hidden = self.context(request).config.api.api_hidden_admin_profiles
        self._list(request, response, listings.ADMINS, hidden=hidden)
