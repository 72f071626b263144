"""Print plans and their operations as LDIF change records (RFC 2849)."""

from collections.abc import Callable, Iterable, Iterator

from iredldap.dit.change_log import REDACTED, is_secret
from iredldap.dit.entry import Entry
from iredldap.dit.plan import (
    Add,
    Delete,
    Modify,
    Op,
    Operation,
    Outside,
    Plan,
    Query,
    Recheck,
    Rename,
    Sweep,
)
from iredldap.ldif import writer

_OP_WORDS = {Op.ADD: "add", Op.DELETE: "delete", Op.REPLACE: "replace"}


def change_records(plan: Plan, found: Callable[[Query], Iterable[Entry]]) -> Iterator[bytes]:
    """Print a plan as LDIF change records (RFC 2849), one at a time.

    Args:
        plan: What to print.
        found: Gives the entries of a query; sweeps are expanded with it while streaming.

    Rechecks are printed as comments: their corrections depend on what others write meanwhile. So is
    what is written outside the directory.
    """
    yield writer.VERSION
    for step in plan.steps:
        match step:
            case Sweep():
                yield writer.comment(f"sweep: {step.meaning}")
                for entry in found(step.query):
                    for operation in step.change(entry):
                        yield change_record(operation)
            case Recheck():
                yield writer.comment(f"recheck: {step.meaning}")
            case Outside():
                yield writer.comment(f"outside the directory: {step.meaning}")
            case _:
                yield change_record(step)


def change_record(operation: Operation, *, redacted: bool = False) -> bytes:
    """Print one operation as an LDIF change record, with the empty line behind it.

    Args:
        operation: What to print.
        redacted: Whether `REDACTED` is printed in place of secrets; else they are printed in
            base64.
    """

    def line(name: str, value: bytes) -> bytes:
        # Not by the writer, which has every value of such an attribute in base64.
        hidden = redacted and is_secret(name)
        return f"{name}: {REDACTED}\n".encode() if hidden else writer.attribute(name, value)

    lines = [writer.dn_line(operation.dn)]
    match operation:
        case Add(attributes=attributes):
            lines.append(b"changetype: add\n")
            lines += [line(n, v) for n, values in attributes.items() for v in values]
        case Modify(mods=mods):
            lines.append(b"changetype: modify\n")
            for mod in mods:
                lines.append(writer.attribute(_OP_WORDS[mod.op], mod.attribute.encode()))
                lines += [line(mod.attribute, value) for value in mod.values]
                lines.append(b"-\n")
        case Delete():
            lines.append(b"changetype: delete\n")
        case Rename(new_rdn=rdn, new_parent=parent, keeps_values=keeps_values):
            lines.append(b"changetype: modrdn\n" + writer.attribute("newrdn", rdn.encode()))
            lines.append(writer.attribute("deleteoldrdn", b"0" if keeps_values else b"1"))
            if parent:
                lines.append(writer.attribute("newsuperior", parent.encode()))
    return b"".join(lines) + b"\n"
