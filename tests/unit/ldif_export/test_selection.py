"""From a kind of account and a name to searches."""

import pytest
from click import Choice

from iredldap.dit.names import Tree
from iredldap.dit.plan import Scope
from iredldap.errors import InvalidDomainName, InvalidMail
from ldif_export.__main__ import main
from ldif_export.readers.choice import READER_NAMES
from ldif_export.selection import (
    KINDS,
    Selection,
    SelectionKind,
    domain_search,
    parse_name,
    searches,
)

TREE = Tree("dc=example,dc=org")
BASE = "o=domains,dc=example,dc=org"
DOMAIN = f"domainName=a.test,{BASE}"

SINGLE: list[tuple[SelectionKind, str, str, str]] = [
    ("user", "u@a.test", "(mail=u@a.test)", "mailUser"),
    ("user", "u*@a.test", "(mail=u\\2a@a.test)", "mailUser"),
    ("catchall", "a.test", "(mail=@a.test)", "mailUser"),
    ("admin", "u@a.test", "(mail=u@a.test)", "mailAdmin"),
    ("alias", "u@a.test", "(mail=u@a.test)", "mailAlias"),
]


@pytest.mark.parametrize(("kind", "name", "own", "object_class"), SINGLE)
def test_one_account_is_one_entry(
    kind: SelectionKind, name: str, own: str, object_class: str
) -> None:
    """It is found by its address, whatever names it, and has to be of its kind."""
    (search,) = searches(Selection(kind, name), TREE, DOMAIN)
    base = TREE.admin_base if kind == "admin" else DOMAIN
    assert (search.base, search.scope) == (base, Scope.SUBTREE)
    assert search.filter == f"(&{own}(objectClass={object_class}))"
    assert search.required


def test_a_list_brings_its_external_members_if_it_has_any() -> None:
    """Further entries may be missing, the first may not."""
    entry, externals = searches(Selection("maillist", "l@a.test"), TREE, DOMAIN)
    assert (entry.filter, entry.required) == ("(&(mail=l@a.test)(objectClass=mailList))", True)
    assert externals.filter == "(&(memberOfGroup=l@a.test)(objectClass=mailExternalUser))"
    assert not externals.required
    _, externals = searches(Selection("maillist", "l@a.test"), TREE, DOMAIN, {"l@x.test"})
    either = "(|(memberOfGroup=l@a.test)(memberOfGroup=l@x.test))"
    assert externals.filter == f"(&{either}(objectClass=mailExternalUser))"


def test_a_domain_is_its_containers_and_then_the_rest() -> None:
    """The two searches exclude each other and leave nothing out."""
    containers, rest = searches(Selection("domain", "a.test"), TREE, DOMAIN)
    assert containers.base == rest.base == DOMAIN
    assert containers.scope == rest.scope == Scope.SUBTREE
    assert (containers.ordered, rest.ordered) == (True, False)
    assert rest.filter == f"(!{containers.filter})"


def test_global_admins_are_left_out() -> None:
    """Of the accounts below a domain, on top of what else is chosen; the containers stay."""
    (containers, rest), (_, thinned), (_, some) = (
        searches(Selection("domain", "a.test", **chosen), TREE, DOMAIN)
        for chosen in (
            {},
            {"global_admins": False},
            {"global_admins": False, "only": frozenset({"user"})},
        )
    )
    assert thinned.filter == f"(&{rest.filter}(!(domainGlobalAdmin=yes)))"
    users = "(|(objectClass=mailUser))"
    assert some.filter == f"(&(!{containers.filter}){users}(!(domainGlobalAdmin=yes)))"
    assert Selection("domain", "a.test", global_admins=False).description.endswith(
        "--no-global-admins"
    )


def test_a_domain_without_its_subtree_is_one_entry() -> None:
    """`subtree=no` reads the domain's own entry."""
    (search,) = searches(Selection("domain", "a.test", subtree=False), TREE, DOMAIN)
    assert (search.base, search.scope) == (DOMAIN, Scope.BASE)


@pytest.mark.parametrize("attribute", ["userPassword", "USERPASSWORD", "userpassword;x-old"])
def test_passwords_are_left_out_in_every_spelling(attribute: str) -> None:
    """Neither case nor options are a way around it."""
    without = Selection("user", "u@a.test", passwords=False)
    omitting = Selection("user", "u@a.test", omit=frozenset({"userpassword"}))
    for selection in (without, omitting):
        assert not selection.keeps(attribute)
        assert not selection.has_passwords
    assert Selection("user", "u@a.test").has_passwords


def test_what_is_kept_keeps_its_order() -> None:
    """Leaving out changes nothing else."""
    selection = Selection("user", "u@a.test", omit=frozenset({"cn"}), passwords=False)
    entry = {"sn": [b"x"], "CN;lang-de": [b"x"], "userPassword": [b"x"], "mail": [b"x"]}
    assert list(selection.thinned(entry)) == ["sn", "mail"]


def test_names_are_read_by_kind() -> None:
    """A domain or a catch-all is named by a domain, the others by what stands for an address."""
    assert parse_name("domain", "A.Test") == parse_name("catchall", "a.test") == "a.test"
    assert parse_name("user", "U@A.Test") == "u@a.test"
    with pytest.raises(InvalidDomainName):
        parse_name("domain", "u@a.test")
    with pytest.raises(InvalidMail):
        parse_name("alias", "a.test")
    with pytest.raises(InvalidMail):
        parse_name("alias", "@a.test")
    assert parse_name("user", "Two@At@A.test") == "two@at@a.test"
    assert parse_name("alias", "Root") == "root"


def test_what_is_no_address_tells_no_domain() -> None:
    """Its account is looked for below all of them."""
    selection = Selection("user", "root")
    assert domain_search(selection, TREE) is None
    (search,) = searches(selection, TREE)
    assert (search.base, "(mail=root)" in search.filter) == (BASE, True)
    assert domain_search(Selection("catchall", "a.test"), TREE) is not None


def test_the_command_knows_every_kind_and_reader() -> None:
    """The command lists them itself, so that it can explain itself at once."""
    for name, known in (("kind", KINDS), ("reader", READER_NAMES)):
        (row,) = (row for row in main.commands["export"].params if row.name == name)
        assert isinstance(row.type, Choice)
        assert tuple(row.type.choices) == known
