"""The page over HTTP, for this machine only: made again when the run has something new.

One page at one address. The server listens on 127.0.0.1, answers only to that name (a page of
another site that makes its own name point here gets nothing) and reads no file by its name.
"""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from reaugkd.errors import UserError

HOST = "127.0.0.1"
PORT = 8765
"""Where the page is served unless told otherwise."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",  # ask each time; unchanged is answered by its tag
}
"""Sent with every answer. The page holds its own script and style and needs nothing else."""

IDLE_SECONDS = 60
"""An open connection without a request is closed after so long."""


class ServeError(UserError):
    """The address cannot be listened on."""


class Fresh:
    """A page that is made when it is first asked for, and again when its stamp has changed.

    Args:
        make: the page as HTML.
        stamp: short name of all that decides it; None makes the page for every request.
    """

    def __init__(self, make: Callable[[], str], stamp: Callable[[], str] | None = None) -> None:
        self._make, self._stamp = make, stamp
        self._lock = threading.Lock()
        self._known: str | None = None
        self._page, self._tag = b"", ""

    def __call__(self) -> tuple[bytes, str]:
        """The page in UTF-8 and its tag; requests that come together wait for one making.

        Raises:
            UserError: if the page cannot be made, e.g. because a plan is damaged.
        """
        with self._lock:
            # Taken before the files are read: what changes meanwhile is seen by the next request.
            stamp = self._stamp() if self._stamp else None
            if stamp is None or stamp != self._known:
                self._page = self._make().encode("utf-8")
                self._tag = f'"{hashlib.sha256(self._page).hexdigest()[:32]}"'
                self._known = stamp
            return self._page, self._tag


class Server(ThreadingHTTPServer):
    """Listens from the moment it is made; ``serve_forever`` answers.

    Args:
        page: the page and its tag.
        port: 0 for any that is free.

    Raises:
        ServeError: if the port cannot be had.
    """

    daemon_threads = True  # an open connection does not keep Ctrl-C waiting

    def __init__(self, page: Fresh, port: int) -> None:
        self.page = page
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ServeError(_why(port, error)) from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """What a browser on this machine may call the server."""
        names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        return frozenset(names | ({HOST, "localhost"} if self.server_port == 80 else set()))


def serve(
    make: Callable[[], str],
    port: int,
    announce: Callable[[str], Any],
    *,
    stamp: Callable[[], str] | None = None,
) -> None:
    """Serve one page on 127.0.0.1 until Ctrl-C, which ends it quietly.

    Args:
        make: the page as HTML; one call at a time.
        port: 0 for any that is free.
        announce: told the address once it can be opened.
        stamp: as of :func:`bench.report.kept.stamp`; the page is made again only when it changes.
            Without it the page is made for every request.

    Raises:
        ServeError: if the port cannot be had.
    """
    with Server(Fresh(make, stamp), port) as server:
        try:
            announce(server.url)
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _why(port: int, error: OSError | OverflowError) -> str:
    if isinstance(error, OverflowError):
        return f"--port {port}: expected 0 to 65535"
    if error.errno == errno.EADDRINUSE:
        return f"--port {port}: in use on {HOST}; give another, or 0 for any that is free"
    return f"--port {port}: cannot listen on {HOST}: {error.strerror}"


class _Handler(BaseHTTPRequestHandler):
    """``GET /`` and ``HEAD /``; everything else is refused in one plain line."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bench", ""  # no versions to look holes up by
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Send the page, or nothing if the browser has this one."""
        if self.headers.get("Host", "").lower() not in self.server.hosts:
            self._plain(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.url}")
        elif urlsplit(self.path).path != "/":
            self._plain(HTTPStatus.NOT_FOUND, f"the only page is {self.server.url}")
        else:
            self._page()

    do_HEAD = do_GET  # noqa: N815  (the name http.server looks for)

    def _page(self) -> None:
        try:
            page, tag = self.server.page()
        except UserError as error:
            self._plain(HTTPStatus.INTERNAL_SERVER_ERROR, f"error: {error}")
            return
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", None, {"ETag": tag})
        else:
            self._send(HTTPStatus.OK, page, "text/html; charset=utf-8", {"ETag": tag})

    def handle(self) -> None:
        """Answer until the browser leaves, which it may do at any moment."""
        with suppress(ConnectionError):
            super().handle()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of HTTP, or a method that is not served."""
        self.close_connection = True  # what follows on it cannot be told apart
        self._plain(HTTPStatus(code), explain or message or HTTPStatus(code).phrase)

    def _plain(self, status: HTTPStatus, line: str) -> None:
        self._send(status, f"{line}\n".encode(), "text/plain; charset=utf-8", {})

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str | None, more: dict[str, str]
    ) -> None:
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(body))} if kind else {}
        if self.close_connection:
            own["Connection"] = "close"
        for name, value in (HEADERS | own | more).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: requests are no news to whoever sits before the browser."""
