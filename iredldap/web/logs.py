"""Write log lines to standard error: one JSON object each, without secrets."""

import logging
import sys

import structlog


def write_json_lines(level: str) -> None:
    """Configure this process to log as JSON, from a level on."""
    structlog.configure(
        processors=[
            # Every line of a request has its id, also those of modules that know nothing of
            # requests.
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        # The processors are not looked up again for each line.
        cache_logger_on_first_use=True,
    )
