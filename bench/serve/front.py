"""What every request passes: the name it came by, the headers of its answer, log and metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.serve import logs

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine that always stand for the service."""

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
"""Sent with every answer. The page holds its own script and style and asks this service alone."""

OTHER = "other"
"""What a path that is not served is called in logs and metrics: it may say anything."""


class Front:
    """The application behind its checks.

    A page of another site that lets its own name point here gets nothing: only ``hosts`` are
    answered. (Starlette's middleware for that answers in two words, which help nobody.)

    Args:
        app: answers what passes.
        hosts: names without port that the service goes by, in lower case.
        paths: those that are served.
        count: told path, status and seconds of every request.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str],
        paths: Collection[str],
        count: Callable[[str, int, float], object],
    ) -> None:
        self._app, self._hosts, self._paths, self._count = app, hosts, paths, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens behind."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        state = scope.setdefault("state", {})

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            if _name(Headers(scope=scope).get("host", "")) not in self._hosts:
                await _foreign()(scope, receive, sent)
            else:
                await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001  (told in the log; the service stays up)
            logs.defect("defect", error)
            if not status:
                await broken()(scope, receive, sent)
        path = scope["path"] if scope["path"] in self._paths else OTHER
        seconds = time.perf_counter() - began
        self._count(path, status, seconds)
        logs.tell(
            "request",
            method=scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else OTHER,
            path=path,
            status=status,
            milliseconds=round(1000 * seconds, 3),
            texts=state.get("texts", 0),
        )


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty if it holds none.

    >>> _name("LocalHost:8000"), _name("[::1]:8000"), _name("a@b"), _name("[")
    ('localhost', '::1', '', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        return "" if "@" in host or parts.path else parts.hostname or ""
    except ValueError:
        return ""


def refused(status: HTTPStatus, line: str) -> JSONResponse:
    """The answer to a request that is not answered."""
    return JSONResponse({"error": line}, status)


def broken() -> JSONResponse:
    """The answer that a defect leaves."""
    line = "a defect of the service: its log tells the place"
    return refused(HTTPStatus.INTERNAL_SERVER_ERROR, line)


def _foreign() -> JSONResponse:
    line = (
        "this service does not go by the name in the Host header: start it with --allow-host NAME"
    )
    return refused(HTTPStatus.MISDIRECTED_REQUEST, line)
