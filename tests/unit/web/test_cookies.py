"""The cookie, signed and read."""

import pytest
from itsdangerous import URLSafeSerializer

from iredldap.config.sections import SessionSettings
from iredldap.config.settings import Secret
from iredldap.errors import LoginRequired
from iredldap.http_errors import SessionExpired
from iredldap.web.callers.cookies import CLOCK_TOLERANCE, CookieSigner, SessionCookie

OLD, NEW = "o" * 32, "n" * 32
NOW = 1_800_000_000
CONTENT = SessionCookie("ann@a.test", "session", "digest", NOW)


def signer(*keys: str, max_age: int = 1000, idle_age: int = 0) -> CookieSigner:
    secrets = tuple(Secret(key) for key in keys)
    return CookieSigner(SessionSettings(keys=secrets, max_age=max_age, idle_age=idle_age))


def test_what_is_signed_is_read() -> None:
    """All of it, and nothing else."""
    assert signer(NEW).load(signer(NEW).dump(CONTENT, NOW), NOW) == CONTENT


@pytest.mark.parametrize(
    ("signed", "read", "accepted"),
    [
        ((OLD,), (OLD,), True),
        ((OLD,), (OLD, NEW), True),
        ((OLD,), (NEW, OLD), True),
        ((OLD, NEW), (NEW,), True),
        ((OLD, NEW), (OLD,), False),
        ((OLD,), (NEW,), False),
    ],
)
def test_keys_are_rotated(signed: tuple[str, ...], read: tuple[str, ...], accepted: bool) -> None:
    """The last key signs, an older one still reads, a removed one does not."""
    cookie = signer(*signed).dump(CONTENT, NOW)
    if accepted:
        assert signer(*read).load(cookie, NOW) == CONTENT
        return
    with pytest.raises(LoginRequired):
        signer(*read).load(cookie, NOW)


@pytest.mark.parametrize(
    ("later", "is_over"),
    [
        (0, False),
        (99, False),
        (100, False),
        (101, True),
        (-1, False),
        (-CLOCK_TOLERANCE, False),
        (-CLOCK_TOLERANCE - 1, True),
    ],
)
def test_a_session_ends_with_its_age(later: int, is_over: bool) -> None:
    """Counted from the login; one from the future is none, unless clocks may differ so much."""
    reader = signer(NEW, max_age=100)
    cookie = reader.dump(CONTENT, NOW)
    if not is_over:
        assert reader.load(cookie, NOW + later) == CONTENT
        return
    with pytest.raises(SessionExpired):
        reader.load(cookie, NOW + later)


def signed(content: object, salt: str = "iredldap.session", key: str = NEW) -> str:
    """Sign as the service does."""
    return str(URLSafeSerializer(key, salt=salt).dumps(content))


FIELDS = [NOW, "ann@a.test", "session", "digest", NOW]


@pytest.mark.parametrize(
    ("idle_age", "later", "is_over"),
    [
        (0, 900, False),
        (30, 30 + CLOCK_TOLERANCE, False),
        (30, 31 + CLOCK_TOLERANCE, True),
    ],
)
def test_an_idle_session_ends(idle_age: int, later: int, is_over: bool) -> None:
    """Only where that is configured; each use signs anew, by a clock that may be another one."""
    reader = signer(NEW, idle_age=idle_age)
    cookie = reader.dump(CONTENT, NOW)
    if not is_over:
        assert reader.load(cookie, NOW + later) == CONTENT
        return
    with pytest.raises(SessionExpired):
        reader.load(cookie, NOW + later)


@pytest.mark.parametrize(
    ("ahead", "is_over"), [(CLOCK_TOLERANCE, False), (CLOCK_TOLERANCE + 1, True)]
)
def test_a_use_in_the_future_is_none(ahead: int, is_over: bool) -> None:
    """A session that a wrong clock has signed anew would else be idle for as long as it likes."""
    reader = signer(NEW, idle_age=30)
    cookie = reader.dump(CONTENT, NOW + ahead)
    if not is_over:
        assert reader.load(cookie, NOW) == CONTENT
        return
    with pytest.raises(SessionExpired):
        reader.load(cookie, NOW)


GOOD = signer(NEW).dump(CONTENT, NOW)
FORGED = [
    "", "x", ".", "..", "ü", "\x00", GOOD[:-1], GOOD + "x", "x" + GOOD, GOOD.replace(".", "..", 1),
    GOOD.rpartition(".")[0], f".{GOOD}", "a" * 5000,
    signed(FIELDS, salt="another"), signed(FIELDS, key="x" * 32),
    signed([]), signed(FIELDS[:3]), signed([*FIELDS, 1]), signed(5), signed(None),
]  # fmt: skip


@pytest.mark.parametrize("cookie", FORGED)
def test_a_forged_cookie_is_none(cookie: str) -> None:
    """Nor is one signed for another purpose, or of another shape."""
    with pytest.raises(LoginRequired):
        signer(OLD, NEW).load(cookie, NOW)


def test_every_character_of_a_cookie_is_signed() -> None:
    """Whichever of the content is changed."""
    reader = signer(NEW)
    for place in range(GOOD.rindex(".")):
        changed = GOOD[:place] + ("A" if GOOD[place] != "A" else "B") + GOOD[place + 1 :]
        with pytest.raises(LoginRequired):
            reader.load(changed, NOW)


def test_a_cookie_shows_no_key() -> None:
    """Nor does the object that signs it."""
    assert NEW not in GOOD
    assert NEW not in repr(vars(signer(NEW))["_settings"])
