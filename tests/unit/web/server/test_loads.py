"""What a request costs is known by its first line."""

import pytest

from iredldap.web.endpoints.endpoint import Load
from iredldap.web.endpoints.index import ENDPOINTS
from iredldap.web.server.loads import Loads

LOADS = Loads(ENDPOINTS)


@pytest.mark.parametrize(
    ("method", "target", "load"),
    [
        ("GET", "/livez", Load.LIVE),
        ("HEAD", "/readyz", Load.PROBE),
        ("GET", "//readyz/?verbose=1", Load.PROBE),
        ("POST", "/livez", Load.LIGHT),
        ("GET", "/livezz", Load.LIGHT),
        ("GET", "/api/user/livez", Load.LIGHT),
        ("GET", "/api/users/corp.test?limit=1000&cursor=x", Load.HEAVY),
        ("GET", "/iredadmin/api//users/corp.test/", Load.HEAVY),
        ("PUT", "/api/users/corp.test", Load.HEAVY),
        ("GET", "/api/domains", Load.HEAVY),
        ("DELETE", "/api/domain/corp.test/keep_mailbox_days/7", Load.HEAVY),
        ("GET", "/api/domain/corp.test", Load.LIGHT),
        ("GET", "/api/ldif", Load.DOWNLOAD),
        ("GET", "/api/ldif/domain/corp.test", Load.DOWNLOAD),
        ("GET", "/api/ldif/user/ann@corp.test", Load.LIGHT),
        ("POST", "/api/ldif", Load.UPLOAD),
        ("", "", Load.LIGHT),
    ],
)
def test_a_request_costs_what_its_endpoint_says(method: str, target: str, load: Load) -> None:
    """Whatever spelling of the path the client uses."""
    assert LOADS.of(method, target) is load


def test_what_answers_at_any_length_is_not_light() -> None:
    """Listings, and exports of more than one account."""
    light = {row.id for row in ENDPOINTS if row.load is Load.LIGHT}
    assert not {row.id for row in ENDPOINTS if row.shape == "Listing"} & light
    assert not {"ldif_all", "ldif_domain", "ldif_restore"} & light
