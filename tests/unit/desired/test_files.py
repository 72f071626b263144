"""Files of users: encodings, separators, columns, hashes, and other programs' forms."""

import pytest

from iredldap.desired.files import hashes, users
from iredldap.desired.files.presets import PRESETS, of_header
from iredldap.desired.files.users import UsersFile
from iredldap.desired.reports import without_secrets
from iredldap.desired.rows import UserRow
from iredldap.dit import imports
from iredldap.errors import InvalidFile
from tests.support import user_files

TEXT = "address;name;quota\r\nann@x.test;Ännchen;512\r\n"
MB = 1024 * 1024
OF_CRYPT = "$1$salt$qJH7.N4xYta3aEG/dfqo/0"
MD5, MD5_HEX = "{MD5}X03MO1qnZdYdgyfeuILPmQ==", "5f4dcc3b5aa765d61d8327deb882cf99"
SHA, SHA_HEX = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"


def rows(
    data: bytes | str, preset: str | None = None, encoding: str | None = None
) -> list[UserRow]:
    file = UsersFile.of(data.encode() if isinstance(data, str) else data, preset, encoding)
    return [row for row, _ in file.users()]


def values(row: UserRow) -> dict[str, tuple[str, ...]]:
    assert row.refusal is None, row.refusal
    return {change.field.name: change.values for change in row.parsed.changes}


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), None),
        (TEXT.encode("utf-8-sig"), None),
        (TEXT.encode("utf-16"), None),
        (TEXT.encode("utf-16-le"), None),
        (TEXT.encode("utf-16-be"), None),
        (TEXT.replace(";", "\t").encode("utf-16"), None),
        (TEXT.replace(";", ",").replace("\r\n", "\n").encode(), None),
        (f"sep=;\r\n{TEXT}".encode("utf-16"), None),
        # Rows without values, separators behind the last column, and another letter case.
        (
            (
                "\ufeffADDRESS ;Name;QUOTA;;\r\n;;;;\r\n"
                + TEXT.partition("\n")[2].replace("\r\n", ";;;\r\n\r\n")
            ).encode(),
            None,
        ),
        (TEXT.replace("\r\n", "\r").encode(), None),
        (TEXT.encode("windows-1252"), "windows-1252"),
        (TEXT.encode("iso-8859-1"), "iso-8859-1"),
        # What is marked as UTF-8 is that, whatever is named.
        (TEXT.encode("utf-8-sig"), "iso-8859-1"),
    ],
)
def test_what_excel_and_others_write_is_read(data: bytes, encoding: str | None) -> None:
    (row,) = rows(data, encoding=encoding)
    assert row.mail == "ann@x.test"
    assert values(row) == {"name": ("Ännchen",), "quota": (str(512 * MB),)}


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (TEXT.encode("windows-1252"), "line 2 is not utf-8"),
        (b"address,name\nann@x.test,A\0nn\n", "line 2 has a zero byte"),
        (b'address,name\nann@x.test,"Ann\n', "line 2"),
        (b"address,nmae\nann@x.test,Ann\n", "'nmae'"),
        (b"name\nAnn\n", "no column `address`"),
        (b"address,name,Name\n", "twice: name"),
        (b"address,name,EMail\n", "twice: address"),
        (b"address,hash,password_hash\n", "twice: password_hash"),
        (b"\r\n\r\n", "empty"),
    ],
)
def test_what_cannot_be_read_is_refused_as_a_whole(data: bytes, word: str) -> None:
    """Nothing is guessed: neither an encoding, nor what a misspelt column means."""
    with pytest.raises(InvalidFile, match=word):
        rows(data)


@pytest.mark.parametrize("preset", [None, "google", "zimbra"])
@pytest.mark.parametrize(
    "line", ["ann@x.test,se cret,Ann", "ann@x.test,se cret,se cret", "mial,se cret"], ids=range(3)
)
def test_no_cell_of_a_file_without_a_header_is_told(line: str, preset: str | None) -> None:
    """It may be a password."""
    with pytest.raises(
        InvalidFile, match=r"no column `address`.* has to name the columns"
    ) as caught:
        rows(f"{line}\n", preset)
    assert "cret" not in str(caught.value)


def test_a_program_is_no_text() -> None:
    with pytest.raises(InvalidFile, match="it is no text"):
        rows(b"\x7fELF\2\1\1" + bytes(9) + b"\3\0>\0\1\0\0\0\xff\xd8\xd8\xd8" + bytes(100))


def test_a_row_has_the_line_where_it_begins() -> None:
    data = 'address,name\n\n"a@x.test","two\nlines"\n\nb@x.test,B\n'
    assert [row.line for row in rows(data)] == [3, 6]


def test_cells_with_several_values() -> None:
    data = (
        "address,aliases,telephoneNumber,lists\n"
        'a@x.test,"b@x.test, c@x.test;d@x.test e@x.test","+49 30 1; +49 30 2",l@x.test|m@x.test\n'
    )
    (row,) = rows(data)
    assert values(row) == {
        "aliases": ("b@x.test", "c@x.test", "d@x.test", "e@x.test"),
        "telephoneNumber": ("+49 30 1", "+49 30 2"),
    }
    assert row.lists == ("l@x.test", "m@x.test")


@pytest.mark.parametrize(
    ("cells", "code", "parameter"),
    [
        ("no address,,", "INVALID_MAIL", "address"),
        (",1,", "INVALID_MAIL", "address"),
        ("a@x.test,much,", "INVALID_PARAMETER", "quota"),
        ("a@x.test,1,,more", "INVALID_PARAMETER", ""),
        ("ann lee <a@x.test>,1,", "INVALID_MAIL", "address"),
    ],
)
def test_a_row_that_says_nonsense_is_refused_alone(cells: str, code: str, parameter: str) -> None:
    first, second = rows(f"address,quota,forwarding\n{cells}\nz@x.test,,\n")
    assert first.refusal
    assert first.refusal.codes == (code,)
    assert first.refusal.parameters == ((parameter,) if parameter else ())
    assert second.refusal is None


def test_a_row_of_a_program_that_says_nonsense_names_its_address() -> None:
    """And all that is wrong with it."""
    text = "name,zimbraAccountStatus,zimbraMailQuota\nA@x.test,asleep,5 GB\n"
    (row,) = rows(text)
    assert row.mail == "a@x.test"
    assert row.refusal
    assert row.refusal.parameters == ("accountStatus", "quota")


def test_tables_as_mysql_prints_them() -> None:
    """It quotes nothing, and has a word for no value."""
    head = ["username", "password", "name", "maildir", "local_part", "quota", "phone"]
    cells = ["a@x.test", "{PLAIN}x", '"Annie" Lee', "x/", "a", "NULL", "NULL"]
    (row,) = rows("\n".join(map("\t".join, [head, cells])))
    assert values(row) == {"name": ('"Annie" Lee',), "password": ("x",)}


def test_domains_in_unicode_are_those_in_ascii() -> None:
    first, second = rows("address\nAnn@Bücher.test\nann@xn--bcher-kva.test\n")
    assert first.mail == "ann@xn--bcher-kva.test"
    assert second.refusal


def test_an_address_that_is_there_twice_is_refused() -> None:
    first, second = rows("address\nAnn@x.test\nann@X.test\n")
    assert first.refusal is None
    assert second.refusal
    assert "line 2" in second.refusal.detail


@pytest.mark.parametrize(
    ("stored", "recognized"),
    [
        ("{SSHA512}abc=", ("password_hash", "{SSHA512}abc=")),
        ("{PLAIN}open", ("password", "open")),
        ("{CLEARTEXT}{x}", ("password", "{x}")),
        (f"{{PLAIN-MD5}}{MD5_HEX}", ("password_hash", MD5)),
        (MD5_HEX, ("password_hash", MD5)),
        (f"{{MD5}}{OF_CRYPT}", ("password_hash", f"{{CRYPT}}{OF_CRYPT}")),
        (OF_CRYPT, ("password_hash", f"{{CRYPT}}{OF_CRYPT}")),
        (SHA.replace("SHA", "SHA1"), ("password_hash", SHA)),
        (f"{{SHA.HEX}}{SHA_HEX}", ("password_hash", SHA)),
        (SHA_HEX, ("password_hash", SHA)),
        ("{ARGON2ID}$argon2id$v=19$x", ("password_hash", "{ARGON2ID}$argon2id$v=19$x")),
        ("nothing known", ("password_hash", "nothing known")),
    ],
)  # fmt: skip
def test_hashes_of_other_programs(stored: str, recognized: tuple[str, str]) -> None:
    assert hashes.recognized(stored) == recognized


@pytest.mark.parametrize(
    ("function", "sent", "read"),
    [
        ("", "clear", ("password", "clear")),
        ("crypt", "$6$x$y", ("password_hash", "{CRYPT}$6$x$y")),
        ("SHA-1", SHA_HEX, ("password_hash", SHA)),
        ("MD5", MD5_HEX, ("password_hash", MD5)),
    ],
)  # fmt: skip
def test_hash_functions_by_name(function: str, sent: str, read: tuple[str, str]) -> None:
    assert hashes.of_function(sent, function) == read


def test_presets_are_those_that_can_be_named() -> None:
    assert tuple(preset.name for preset in PRESETS) == imports.PRESETS == user_files.PRESETS


@pytest.mark.parametrize("preset", user_files.PRESETS)
def test_a_thousand_rows_of_each_program(preset: str) -> None:
    """Each is recognised by its header but for iRedMail's, which has none."""
    data = user_files.exported(preset, 1000)
    named = preset if preset == "iredmail" else None
    file = UsersFile.of(data, named)
    assert file.preset
    assert file.preset.name == preset
    found = [row for row, _ in file.users()]
    assert len(found) == 1000
    for number, row in enumerate(found):
        assert row.mail == f"user{number}@{user_files.DOMAIN}"
        read = values(row)
        assert read["name"] == (f"User {number} of Test",)
        assert ("password" if preset == "iredmail" else "password_hash") in read
        if preset not in {"google", "microsoft", "postfixadmin"}:
            assert read["quota"] == (str((number + 1) * MB),)
        if preset in {"zimbra", "microsoft"}:
            assert read["aliases"] == (f"also{number}@{user_files.DOMAIN}",)
            assert read["language"] == ("de_DE",)
        if preset != "iredmail":
            assert read["accountStatus"] == ("active" if number % 10 else "disabled",)


def test_a_header_of_nobody_is_ours() -> None:
    assert of_header(["address", "name", "password"]) is None
    assert of_header(["username", "name", "quota"]) is None


def test_a_preset_refuses_columns_that_it_does_not_know() -> None:
    data = user_files.exported("google", 1).replace(b"Cost Center", b"Shoe Size")
    with pytest.raises(InvalidFile, match="'shoe size'"):
        rows(data)


def test_a_quota_keeps_its_bytes() -> None:
    """PostfixAdmin's megabytes have 1 024 000 bytes by default; what is smaller than one is one."""
    head = "username,password,name,maildir,quota,local_part,domain,created,modified,active\n"
    cells = "a{0}@x.test,{{PLAIN}}x,A,x/,{1},a,x.test,,,1\n"
    sizes = (1024000000, 1048576000, 5, 0, -1)
    text = head + "".join(cells.format(n, size) for n, size in enumerate(sizes))
    read = [values(row).get("quota") for row in rows(text)]
    assert read == [(str(977 * MB),), (str(1000 * MB),), (str(MB),), None, None]


def test_forwarding_of_zimbra_keeps_a_copy_unless_it_was_switched_off() -> None:
    text = (
        "name,zimbraAccountStatus,zimbraPrefMailForwardingAddress,zimbraPrefMailLocalDeliveryDisabled\n"
        "a@x.test,active,b@y.test,FALSE\nb@x.test,active,b@y.test,TRUE\n"
    )
    first, second = map(values, rows(text))
    assert first["forwarding"] == ("b@y.test", "a@x.test")
    assert second["forwarding"] == ("b@y.test",)


@pytest.mark.parametrize(
    "text",
    [
        "address,mail\na@x.test,b@x.test\n",
        "mail,Email,name\na@x.test,,A\n",
        "address,hash,password_hash\na@x.test,{SHA}x,\n",
        "email address [required],org unit path,address\na@x.test,/,b@x.test\n",
        ",".join(f"c{number}" for number in range(300)),
        "address,name\n" + "a@x.test" + "," * 300,
        "address\n" + "a@x.test\n" * 11,
    ],
    ids=range(7),
)
def test_a_table_that_means_two_things_or_too_much_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second column for the same parameter, more columns than any program has, too many rows."""
    monkeypatch.setattr(users, "MOST_ROWS", 10)
    assert len(UsersFile.of(b"address\n" + b"a@x.test\n" * 10).rows) == 10
    with pytest.raises(InvalidFile):
        UsersFile.of(text.encode())


def test_a_shifted_row_has_no_cell_without_secrets() -> None:
    """A separator in a name moves the password into another column."""
    text = "address,name,password,quota\na@x.test,Lee, Ann,secret word,1\nb@x.test,B,secret,1,,\n"
    file = UsersFile.of(text.encode())
    assert [without_secrets(file, cells) for cells in file.rows] == [
        ("",) * 4,
        ("b@x.test", "B", "", "1"),
    ]
