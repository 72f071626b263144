"""No log has the secret of a token, whoever writes the line."""

import json
import logging

import pytest
import structlog

from iredldap.dit.api_tokens import new_secret
from iredldap.web.logs import WithoutSecrets, write_json_lines

SECRET = new_secret(bytes(range(32)))


def line(*message: object, error: Exception | None = None) -> str:
    record = logging.LogRecord("x", logging.ERROR, "x", 1, message[0], message[1:], None)
    if error:
        record.exc_info = (type(error), error, None)
    assert WithoutSecrets().filter(record)
    return logging.Formatter().format(record)


def test_messages_arguments_and_tracebacks_are_redacted() -> None:
    for text in (
        line(f"GET /?token={SECRET}"),
        line("request %s", f"/?token={SECRET}"),
        line("%s of %d", SECRET, 3),
        line("failed", error=ValueError(f"no {SECRET}")),
    ):
        assert SECRET not in text
        assert "iredldap_…" in text


def test_other_messages_stay() -> None:
    assert line("%d%% of %s", 3, "x") == "3% of x"
    assert "ValueError: no" in line("failed", error=ValueError("no"))


def test_each_line_names_the_node(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        write_json_lines("info", "n1")
        structlog.get_logger("a test").info("something")
    finally:
        structlog.reset_defaults()
    assert json.loads(capsys.readouterr().err)["node"] == "n1"
