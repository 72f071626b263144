"""Print manual pages of commands, in the language of man(7), from what click knows of them."""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping

import click

from iredldap import __version__

_MOST_READERS = 12


def manual(
    name: str,
    command: click.Group,
    *see_also: str,
    variables: Mapping[str, str] | None = None,
    apart: Collection[str] = (),
) -> str:
    """Write the page of a command and its subcommands.

    Args:
        name: As it is called; the page has hyphens for the blanks.
        command: What click made of it.
        see_also: Names of other pages of section 1.
        variables: Variables of the environment that it reads, beside those that stand for options.
        apart: Groups below it that have pages of their own.
    """
    context = click.Context(command, info_name=name, **command.context_settings)
    summary, *paragraphs = _paragraphs(command)
    lines = [
        ".\\\" Made by `make docs` from the program's own --help.",
        f'.TH "{_page(name).upper()}" "1" "" "iredldap {__version__}" "User Commands"',
        # Rows of choices cannot fill their lines.
        ".ad l",
        ".SH NAME",
        f"{_plain(_page(name))} \\- {_text(summary[0].lower() + summary[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        *_synopsis(context),
        *((".SH DESCRIPTION", *_prose(paragraphs)) if paragraphs else ()),
        ".SH OPTIONS",
        *_options(context),
        ".SH COMMANDS",
    ]
    for inner in _below(context, apart):
        words = inner.command_path.removeprefix(f"{name} ")
        lines += [f".SS {_plain(words)}", *_synopsis(inner), ".PP"]
        lines += [*_prose(_paragraphs(inner.command))]
        if words in apart:
            lines += [f"See {_reference(inner.command_path)}."]
        else:
            lines += [*_options(inner)]
    lines += [".SH ENVIRONMENT", *_variables(context, variables or {})]
    others = [*see_also, *(f"{name} {word}" for word in apart)]
    lines += [".SH SEE ALSO", ", ".join(map(_reference, others))]
    return "".join(f"{line}\n" for line in lines)


def _page(name: str) -> str:
    return name.replace(" ", "-")


def _reference(name: str) -> str:
    return f"\\fB{_plain(_page(name))}\\fP(1)"


def _below(context: click.Context, apart: Collection[str] = ()) -> Iterator[click.Context]:
    """Yield the subcommands of a command, each before its own, which those apart are without."""
    command = context.command
    if not isinstance(command, click.Group):
        return
    for word in command.list_commands(context):
        # Also of a group that imports its commands when one is used.
        found = command.get_command(context, word)
        assert found
        inner = click.Context(found, info_name=word, parent=context)
        yield inner
        if word not in apart:
            yield from _below(inner)


def _paragraphs(command: click.Command) -> list[str]:
    text = inspect.cleandoc(command.help or "")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _synopsis(context: click.Context) -> Iterator[str]:
    yield f"\\fB{_plain(context.command_path)}\\fP"
    yield _plain(" ".join(context.command.collect_usage_pieces(context)))


def _prose(paragraphs: list[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield _text(paragraph)


def _options(context: click.Context) -> Iterator[str]:
    for option in context.command.get_params(context):
        # Arguments have one too from click 8.5 on, and stand in the synopsis.
        record = isinstance(option, click.Option) and option.get_help_record(context)
        if not record:
            continue
        spelled, meaning = record
        yield ".TP"
        yield f"\\fB{_plain(spelled)}\\fP"
        yield _text(" ".join(meaning.split()))
        if names := _names(option):
            yield f"Also from the environment: {', '.join(map(_plain, names))}."


def _variables(context: click.Context, others: Mapping[str, str]) -> Iterator[str]:
    """Tell every variable that an option of a subcommand is read from, and others."""
    readers: dict[str, list[str]] = {}
    for inner in _below(context):
        words = inner.command_path.removeprefix(f"{context.command_path} ")
        for option in inner.command.params:
            for name in _names(option):
                readers.setdefault(name, []).append(f"`{words} {option.opts[0]}`")
    told = {name: f"Read by {_readers(options)}." for name, options in readers.items()}
    for name, meaning in {**told, **others}.items():
        yield ".TP"
        yield f"\\fB{_plain(name)}\\fP"
        yield _text(meaning)


def _readers(options: list[str]) -> str:
    if len(options) <= _MOST_READERS:
        return ", ".join(options)
    spelled = dict.fromkeys(option.strip("`").split()[-1] for option in options)
    return f"{', '.join(f'`{name}`' for name in spelled)} of most commands"


def _names(option: click.Parameter) -> list[str]:
    given = option.envvar or ()
    return [given] if isinstance(given, str) else [*given]


def _text(text: str) -> str:
    """Escape a text, with what stands between backquotes in bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fP", _plain(text))


def _plain(text: str) -> str:
    """Escape a text: it is one line, and no request."""
    # Choices may be broken behind each word: a long row of them fits in no line.
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("|", "|\\:")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
