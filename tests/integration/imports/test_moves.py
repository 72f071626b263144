"""Users that come from other programs, with their passwords."""

from pathlib import Path

import pytest

from iredldap.dit import passwords
from tests.integration.imports.test_imports import counts, sent, table
from tests.support import user_files
from tests.support.client import Client, done
from tests.support.mailservers import Dovecot
from tests.support.patience import started
from tests.support.world import READER_PASSWORD, SUFFIX, World

DOMAIN = user_files.DOMAIN

HASHES = {
    # All of the password "secret".
    "ssha": passwords.hashed("secret", "SSHA", b"8 bytes."),
    "ssha512": passwords.hashed("secret", "SSHA512", b"8 bytes."),
    "bcrypt": "{BLF-CRYPT}$2b$04$nt5vFSkD0igFDf.RPDiRbeW9uF5X66j6VYGIRI6m8o4h2oqZZajr2",
    "md5-crypt": "{MD5}$1$abc$iCQ2D3nhptRYi27fDYv2s1",
    "bare-md5-crypt": "$1$abc$iCQ2D3nhptRYi27fDYv2s1",
    "sha256-crypt": "{SHA256-CRYPT}$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
    "plain-md5": "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "bare-md5": "5ebe2294ecd0e0f08eab7690d2a6ee69",
    "sha-hex": "{SHA.HEX}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
}


@pytest.fixture
def home(api: Client) -> str:
    done(api.post(f"/api/domain/{DOMAIN}"))
    return DOMAIN


@pytest.mark.parametrize("preset", user_files.PRESETS)
def test_fifty_users_of_each_program(api: Client, world: World, home: str, preset: str) -> None:
    data = user_files.exported(preset, 50)
    named = {"preset": preset} if preset == "iredmail" else {}
    report = sent(api, data, waits=True, **named)
    assert report["preset"] == preset
    assert counts(report) == {"created": 50}, report["refusals"][:2]
    users = world.find("(objectClass=mailUser)")
    assert {one.text("cn") for one in users} == {f"User {n} of Test" for n in range(50)}
    disabled = {one.text("mail") for one in users if not one.has("accountStatus", "active")}
    assert len(disabled) == (0 if preset == "iredmail" else 5)
    world.connect(world.tree.user(f"user7@{DOMAIN}"), user_files.PASSWORD)
    assert counts(sent(api, data, waits=True, update="yes", **named)) == {"unchanged": 50}


BAD: dict[str, tuple[dict[str, str], str]] = {
    "no address": ({"address": "nobody"}, "INVALID_MAIL"),
    "empty address": ({"address": ""}, "INVALID_MAIL"),
    "a name before it": ({"address": f"Ann <ann@{DOMAIN}>"}, "INVALID_MAIL"),
    "not ASCII": ({"address": f"ännchen@{DOMAIN}"}, "INVALID_MAIL"),
    "twice": ({"address": f"USER1@{DOMAIN.upper()}"}, "INVALID_MAIL"),
    "no such domain": ({"address": "a@nowhere.test"}, "NO_SUCH_ACCOUNT"),
    "domain in Unicode": ({"address": "a@bücher.test"}, "NO_SUCH_ACCOUNT"),
    "an alias domain": ({"address": "a@also.test"}, "NO_SUCH_ACCOUNT"),
    "no password": ({"password_hash": ""}, "PW_EMPTY"),
    "weak": ({"password": "short", "password_hash": ""}, "PW_SHORTER_THAN_MIN_LENGTH"),
    "two passwords": ({"password": "a good password"}, "PARAMETER_CONFLICT"),
    "unknown hash": ({"password_hash": "{ARGON2ID}$argon2$x"}, "INVALID_PASSWORD_SCHEME"),
    "quota with a unit": ({"quota": "1 GB"}, "INVALID_PARAMETER"),
    "quota in bytes": ({"quota": "1073741824"}, "INVALID_PARAMETER"),
    "status": ({"accountStatus": "asleep"}, "INVALID_PARAMETER"),
    "a list that is none": ({"lists": f"none@{DOMAIN}"}, "NO_SUCH_ACCOUNT"),
    "an alias of another row": ({"aliases": f"user2@{DOMAIN}"}, "ALREADY_EXISTS"),
    "an alias elsewhere": ({"aliases": "a@elsewhere.test"}, "INVALID_MAIL"),
    "a copy to nobody": ({"senderBcc": f"nobody@{DOMAIN}"}, "INVALID_MAIL"),
    "the address of a list": ({"address": f"team@{DOMAIN}"}, "ALREADY_EXISTS"),
}
"""What is wrong with a row, and the code of the reason."""


def test_twenty_bad_rows_of_four_hundred(api: Client, world: World, home: str) -> None:
    """The others become accounts; a second time nothing does. `benchmarks.imports` has 5 000."""
    done(api.put(f"/api/domain/{home}", aliasDomains="also.test"))
    done(api.post(f"/api/maillist/team@{home}"))
    plain = {"password": "", "password_hash": user_files.HASH, "name": "A", "quota": "5"}
    beside = dict.fromkeys(("accountStatus", "lists", "aliases", "senderBcc"), "")
    rows = [{"address": f"user{n}@{home}", **plain, **beside} for n in range(380)]
    # Each in a batch of its own, among good ones.
    for position, (row, _) in enumerate(BAD.values()):
        rows.insert(
            20 * position + 19, {"address": f"bad{position}@{home}", **plain, **beside, **row}
        )
    report = sent(api, table(*rows))
    assert counts(report) == {"created": 380, "refused": 20}
    found = dict(zip(BAD, (one["code"] for one in report["refusals"]), strict=True))
    assert found == {name: code for name, (_, code) in BAD.items()}
    assert all(one["detail"] or one["parameters"] for one in report["refusals"])
    assert len(world.find("(objectClass=mailUser)")) == 380
    before = world.snapshot()
    assert counts(sent(api, table(*rows))) == {"unchanged": 380, "refused": 20}
    assert world.snapshot() == before


def test_old_hashes_log_in_to_dovecot(api: Client, world: World, home: str, tmp_path: Path) -> None:
    rows = [{"address": f"{name}@{DOMAIN}", "hash": stored} for name, stored in HASHES.items()]
    report = sent(api, table(*rows, {"address": f"argon@{DOMAIN}", "hash": "{ARGON2ID}$argon2$x"}))
    assert counts(report) == {"created": len(HASHES), "refused": 1}
    assert report["refusals"][0]["code"] == "INVALID_PASSWORD_SCHEME"
    dovecot = Dovecot(tmp_path / "dovecot", world.slapd.uri, SUFFIX, READER_PASSWORD)
    started(dovecot)
    try:
        for name in HASHES:
            user = f"{name}@{DOMAIN}"
            assert dovecot.accepts(user, "secret", "imap", "tls"), name
            assert not dovecot.accepts(user, "guess", "imap", "tls"), name
    finally:
        dovecot.stop()
