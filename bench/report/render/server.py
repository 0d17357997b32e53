"""The page over HTTP, for this machine only: made again when the run has something new.

One page at one address. The server listens on 127.0.0.1, answers only to that name (a page of
another site that makes its own name point here gets nothing) and reads no file by its name.
"""

from __future__ import annotations

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


class ServeError(UserError):
    """The address cannot be listened on."""


class Server(ThreadingHTTPServer):
    """Listens from the moment it is made; ``serve_forever`` answers.

    Args:
        make: the page as HTML; one call at a time.
        port: 0 for any that is free.
        stamp: short name of all that decides the page, which is made again only when it changes.
            Without it the page is made for every request.

    Raises:
        ServeError: if the port cannot be had.
    """

    daemon_threads = True  # an open connection does not keep Ctrl-C waiting

    def __init__(
        self, make: Callable[[], str], port: int, stamp: Callable[[], str] | None = None
    ) -> None:
        self._make, self._stamp, self._lock = make, stamp, threading.Lock()
        self._made: tuple[str | None, bytes] = (None, b"")
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ServeError(f"--port {port}: {why} on {HOST}; 0 takes any that is free") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def page(self) -> bytes:
        """The page in UTF-8; requests that come together wait for one making.

        Raises:
            UserError: if the page cannot be made, e.g. because a plan is damaged.
        """
        with self._lock:
            # Taken before the files are read: what changes meanwhile is seen by the next request.
            stamp = self._stamp() if self._stamp else None
            if stamp is None or stamp != self._made[0]:
                self._made = stamp, self._make().encode("utf-8")
            return self._made[1]


def serve(
    make: Callable[[], str],
    port: int,
    announce: Callable[[str], Any],
    *,
    stamp: Callable[[], str] | None = None,
) -> None:
    """Serve one page until Ctrl-C, which ends it quietly; arguments and errors of :class:`Server`.

    Args:
        announce: told the address once it can be opened.
    """
    with Server(make, port, stamp) as server, suppress(KeyboardInterrupt):
        announce(server.url)
        server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    """``GET /`` and ``HEAD /``; everything else is refused in one plain line."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bench", ""  # no versions to look holes up by
    timeout = 60  # seconds after which an open connection without a request is closed

    def do_GET(self) -> None:
        """Send the page, or nothing if the browser has this one."""
        hosts = [f"{name}:{self.server.server_port}" for name in (HOST, "localhost")]
        hosts += [HOST, "localhost"] if self.server.server_port == 80 else []
        if self.headers.get("Host", "").lower() not in hosts:
            self._plain(HTTPStatus.MISDIRECTED_REQUEST, f"this is {self.server.url}")
        elif urlsplit(self.path).path != "/":
            self._plain(HTTPStatus.NOT_FOUND, f"the only page is {self.server.url}")
        else:
            try:
                page = self.server.page()
            except UserError as error:
                self._plain(HTTPStatus.INTERNAL_SERVER_ERROR, f"error: {error}")
                return
            tag = f'"{hashlib.sha256(page).hexdigest()[:32]}"'
            if self.headers.get("If-None-Match") == tag:
                self._send(HTTPStatus.NOT_MODIFIED, b"", {"ETag": tag})
            else:
                kind = {"Content-Type": "text/html; charset=utf-8", "ETag": tag}
                self._send(HTTPStatus.OK, page, kind)

    do_HEAD = do_GET  # noqa: N815  (the name http.server looks for)

    def handle(self) -> None:
        """Answer until the browser leaves, which it may do at any moment."""
        with suppress(ConnectionError):
            super().handle()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of HTTP, or a method that is not served."""
        self.close_connection = True  # what follows on it cannot be told apart
        self._plain(HTTPStatus(code), explain or message or HTTPStatus(code).phrase)

    def _plain(self, status: HTTPStatus, line: str) -> None:
        self._send(status, f"{line}\n".encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        if status != HTTPStatus.NOT_MODIFIED:
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in (HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: requests are no news to whoever sits before the browser."""
