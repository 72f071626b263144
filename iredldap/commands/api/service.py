"""The commands about the API itself: background jobs, sessions, and who calls."""

from collections.abc import Iterator

import click

from iredldap.commands.api import render
from iredldap.commands.api.answers import Answer, Api
from iredldap.commands.api.building import Chosen, CommandRow, Given, command
from iredldap.commands.api.options import arguments, path_names
from iredldap.commands.api.rows import call, calls
from iredldap.commands.terminal import plain

_OF_JOBS = ("id", "status", "done", "total", "failures", "created", "finished")


def jobs() -> Iterator[click.Command]:
    """Yield the commands of jobs."""
    if "jobs_list" in calls():
        yield single("list", "jobs_list", "job", columns=_OF_JOBS)
    yield single("show", "job_get", "job")


def sessions() -> Iterator[click.Command]:
    """Yield the commands of sessions."""
    ends, ends_all = call("sessions_end"), call("sessions_end_all")

    def choose(_: Api, given: Given) -> Chosen:
        mail = given["mail"]
        if bool(mail) == given["everybody"]:
            raise click.UsageError("an ADDRESS or --all")
        return Chosen(ends, {"mail": mail}) if mail else Chosen(ends_all, {})

    def show(_: Answer, given: Given) -> None:
        whose = f"sessions of {given['mail']}" if given["mail"] else "all sessions"
        click.echo(plain(f"{whose} ended"))

    yield command(
        CommandRow(
            name="end",
            word="admin",
            calls=[ends, ends_all],
            choose=choose,
            arguments=[
                click.Argument(["mail"], metavar="[ADDRESS]", required=False),
                click.Option(["--all", "everybody"], is_flag=True, help="Those of all admins."),
            ],
            show=show,
        )
    )


def single(name: str, id_: str, word: str, columns: tuple[str, ...] = ()) -> click.Command:
    """Make a command of one call.

    Args:
        name: Its name.
        id_: Id of the call.
        word: What it is about.
        columns: Members that are shown of a list of objects.
    """
    found = calls()[id_]

    def show(answer: Answer, _: Given) -> None:
        if columns:
            render.table(answer.data, columns)
        else:
            render.data(answer.data)

    def choose(_: Api, given: Given) -> Chosen:
        return Chosen(found, path_names(given))

    return command(
        CommandRow(
            name=name,
            word=word,
            calls=[found],
            choose=choose,
            arguments=[*arguments(found)],
            parameters=found.parameters,
            show=None if found.changes else show,
        )
    )


def whoami() -> click.Command:
    """Make the command that shows who calls."""
    return single("whoami", "whoami", "caller")
