"""Write log lines to standard error: one JSON object each, without secrets.

What a client sends in the wrong place, as a token in a path, gets into lines of the access log, of
gunicorn and of tracebacks: so the secrets of tokens are removed from each line, wherever it is
made.
"""

import logging
import sys
from typing import Any

import structlog

from iredldap.dit.api_tokens import redacted


def write_json_lines(level: str, node: str) -> None:
    """Configure this process to log as JSON, from a level on; each line names the node."""

    def with_node(_logger: object, _method: str, line: Any) -> Any:
        line["node"] = node
        return line

    structlog.configure(
        processors=[
            with_node,
            # Every line of a request has its id, also those of modules that know nothing of
            # requests.
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
            _without_secrets,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # The processors are not looked up again for each line.
        cache_logger_on_first_use=True,
    )


def _without_secrets(_logger: object, _method: str, line: Any) -> str:
    return redacted(line)


class WithoutSecrets(logging.Filter):
    """Removes the secrets of tokens from the records of a logger."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            # The formatter uses the text where there is one.
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        return True
