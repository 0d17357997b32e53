"""A request that is not answered: a status, and one line that says what to mend."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus


class RefusalError(Exception):
    """Why a request is not answered.

    Args:
        status: of HTTP.
        line: what was wrong and what to do, for whoever asked.
        headers: that belong to the status.
    """

    def __init__(
        self, status: HTTPStatus, line: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(line)
        self.status, self.line, self.headers = status, " ".join(line.split()), dict(headers or {})
