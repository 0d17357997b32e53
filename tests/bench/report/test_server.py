"""Laws of the served page: for this machine only, made when something changed, one page at all."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from bench.report.render.server import HEADERS, ServeError, Server
from reaugkd.errors import UserError

PAGE = "<!doctype html><title>µ ± –</title>"


class Maker:
    """A page that counts how often it is made; ``state`` is what its stamp is made of."""

    def __init__(self) -> None:
        self.state, self.made, self.slow = "0", 0, 0.0
        self.error: Exception | None = None

    def page(self) -> str:
        self.made += 1
        time.sleep(self.slow)
        if self.error:
            raise self.error
        return f"{PAGE}{self.state}"

    def stamp(self) -> str:
        return self.state


@contextmanager
def serving(make: Callable[[], str], stamp: Callable[[], str] | None = None) -> Iterator[Server]:
    with Server(make, 0, stamp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def server(maker: Maker) -> Iterator[Server]:
    with serving(maker.page, maker.stamp) as server:
        yield server


def ask(
    server: Server, path: str = "/", method: str = "GET", **headers: str | None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"Host": "127.0.0.1:{port}"} | headers).items():
        if value is not None:
            value = value.format(port=server.server_port)
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert HEADERS.items() <= dict(answer.headers).items()
    assert answer.headers["Server"].strip() == "bench"
    return answer, body


def test_the_page_is_at_the_address_that_is_announced(server: Server) -> None:
    assert server.url == f"http://127.0.0.1:{server.server_port}/"
    answer, body = ask(server)
    assert (answer.status, body.decode("utf-8")) == (200, f"{PAGE}0")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert ask(server, "/?x=1#y")[1] == body
    assert ask(server, Host="LOCALHOST:{port}")[1] == body
    head, nothing = ask(server, method="HEAD")
    assert (head.status, nothing) == (200, b"")
    for name in ("Content-Length", "ETag"):
        assert head.headers[name] == answer.headers[name]


def test_it_is_made_again_only_when_its_stamp_changed(server: Server, maker: Maker) -> None:
    maker.slow = 0.1  # requests that come together wait for one making
    with ThreadPoolExecutor(3) as pool:
        pages = list(pool.map(lambda _: ask(server)[1], range(3)))
    assert (len(set(pages)), maker.made) == (1, 1)
    maker.state = "1"
    assert ask(server)[1].endswith(b"1")
    assert maker.made == 2
    with serving(maker.page) as unstamped:
        assert ask(unstamped)[1] == ask(unstamped)[1]
    assert maker.made == 4


def test_a_browser_that_has_the_page_is_not_sent_it_again(server: Server, maker: Maker) -> None:
    tag = ask(server)[0].headers["ETag"]
    answer, body = ask(server, If_None_Match=tag)
    assert (answer.status, body, answer.headers["ETag"]) == (304, b"", tag)
    maker.state = "1"
    answer, body = ask(server, If_None_Match=tag)
    assert (answer.status, body[-1:]) == (200, b"1")


NAMES = ("evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "", None)
PATHS = ("/favicon.ico", "/x//", "/../run.json", "/%2e%2e/")


@pytest.mark.parametrize(
    ("status", "how"),
    [
        *((404, {"path": path}) for path in PATHS),
        *((421, {"Host": name}) for name in NAMES),
        *((501, {"method": name}) for name in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE")),
    ],
)
def test_there_is_one_page_by_one_name_and_nothing_can_be_sent_to_it(
    status: int, how: dict[str, Any], server: Server, maker: Maker
) -> None:
    answer, body = ask(server, **how)
    assert (answer.status, maker.made) == (status, 0)
    assert PAGE.encode() not in body


def test_the_page_may_fetch_nothing_and_be_framed_by_nobody() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_mistake_while_it_is_made_is_told_and_mended(server: Server, maker: Maker) -> None:
    maker.error = UserError("run.json is damaged")
    answer, body = ask(server)
    assert (answer.status, body) == (500, b"error: run.json is damaged\n")
    assert answer.headers["Content-Type"].startswith("text/plain")
    maker.error = None
    assert ask(server)[0].status == 200


def test_what_is_no_request_is_refused_and_who_leaves_is_no_news(
    server: Server, maker: Maker, capfd: pytest.CaptureFixture[str]
) -> None:
    address = ("127.0.0.1", server.server_port)
    for sent in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(address, timeout=5) as raw:
            raw.sendall(sent)
            assert b"200" not in raw.recv(200)
    maker.slow = 0.1
    for sent in (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.server_port, b"GET /"):
        with socket.create_connection(address, timeout=5) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sendall(sent)
    assert ask(server)[0].status == 200
    time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_only_this_address_is_listened_on_and_a_port_that_cannot_be_had_is_one_line(
    server: Server, maker: Maker
) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)
    for port in (server.server_port, 65536):
        with pytest.raises(ServeError, match=f"--port {port}: .*0 takes any that is free"):
            Server(maker.page, port)


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    code = (
        "from bench.report.render.server import serve\n"
        "serve(lambda: 'page', 0, lambda url: print(url, flush=True))\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        waiting = HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=5)
        waiting.request("GET", "/")
        assert waiting.getresponse().read() == b"page"  # and the connection stays open
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
