"""The address, and a server on it that ends quietly."""

from __future__ import annotations

import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from reaugkd.errors import UserError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

ENDINGS = (signal.SIGTERM, signal.SIGINT)


class AddressError(UserError):
    """An address that cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; who connects before the service runs waits for it.

    Raises:
        AddressError: if it cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, UnicodeError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AddressError(
            f"cannot listen on --host {host} --port {port}: {why}; --port 0 takes any that is free"
        ) from error


def url(listening: socket.socket) -> str:
    """The address of a socket as a browser takes it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def serve(app: ASGIApp, listening: socket.socket, patience: float) -> None:
    """Answer until SIGTERM or Ctrl-C; requests that run then are answered first.

    ``patience`` are the seconds that they get.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=max(1, round(patience)),
    )
    # uvicorn raises the signal again when it is done, for these.
    before = {number: signal.signal(number, _leave) for number in ENDINGS}
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except _Left:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()


class _Left(BaseException):
    """The signal to leave."""


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise _Left
