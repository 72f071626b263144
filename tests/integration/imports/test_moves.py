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
