"""Logs as JSON, an object a line, without texts: those belong to whoever sent them."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import TextIO

LOGGER = logging.getLogger("bench.serve")
FACTS = "facts"
"""Attribute of a record that holds what its line tells beside time, level and event."""


class JsonLines(logging.Formatter):
    """A record as one line of JSON.

    Of an exception its type and the places of its traceback are told, never its message or
    arguments, which may hold a text.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            frames = traceback.extract_tb(error.__traceback__)
            line["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
        return json.dumps(line)


def to(stream: TextIO) -> None:
    """Send the logs of the service, and the warnings of its HTTP server, to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name, level in ((LOGGER.name, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def tell(event: str, **facts: object) -> None:
    """Log an ``event`` with its ``facts``."""
    LOGGER.info(event, extra={FACTS: facts})


def defect(event: str, error: BaseException) -> None:
    """Log an ``error`` that is no user's."""
    LOGGER.error(event, exc_info=error)
