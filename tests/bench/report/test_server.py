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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from bench.report.render.server import HEADERS, Fresh, ServeError, Server
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
def serving(page: Fresh) -> Iterator[Server]:
    with Server(page, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def server(maker: Maker) -> Iterator[Server]:
    with serving(Fresh(maker.page, maker.stamp)) as server:
        yield server


def ask(
    server: Server, path: str = "/", method: str = "GET", **headers: str | None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    given = {"Host": f"127.0.0.1:{server.server_port}"} | headers
    for name, value in given.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_is_at_the_address_that_is_announced(server: Server) -> None:
    assert server.url == f"http://127.0.0.1:{server.server_port}/"
    answer, body = ask(server)
    assert (answer.status, body.decode("utf-8")) == (200, f"{PAGE}0")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert ask(server, "/?x=1#y")[1] == body
    assert ask(server, Host=f"LOCALHOST:{server.server_port}")[1] == body


def test_it_is_made_again_only_when_its_stamp_changed(server: Server, maker: Maker) -> None:
    assert maker.made == 0
    first = [ask(server)[1] for _ in range(3)]
    assert (len(set(first)), maker.made) == (1, 1)
    maker.state = "1"
    assert ask(server)[1].endswith(b"1")
    assert maker.made == 2


def test_without_a_stamp_it_is_made_for_every_request(maker: Maker) -> None:
    with serving(Fresh(maker.page)) as server:
        for _ in range(3):
            ask(server)
    assert maker.made == 3


def test_requests_that_come_together_wait_for_one_making(server: Server, maker: Maker) -> None:
    maker.slow = 0.2
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: ask(server)[1], range(6)))
    assert (len(set(found)), maker.made) == (1, 1)


def test_a_browser_that_has_the_page_is_not_sent_it_again(server: Server, maker: Maker) -> None:
    tag = ask(server)[0].headers["ETag"]
    answer, body = ask(server, If_None_Match=tag)
    assert (answer.status, body, answer.headers["ETag"]) == (304, b"", tag)
    maker.state = "1"
    answer, body = ask(server, If_None_Match=tag)
    assert (answer.status, body[-1:]) == (200, b"1")


def test_head_has_the_headers_and_no_body(server: Server) -> None:
    whole, page = ask(server)
    answer, body = ask(server, method="HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) == len(page)
    assert answer.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize(
    "path",
    ["/favicon.ico", "/report.html", "/x//", "/cells/", "/../run.json", "/%2e%2e/", "/etc/passwd"],
)
def test_there_is_one_page_and_no_file(path: str, server: Server, maker: Maker) -> None:
    answer, body = ask(server, path)
    assert (answer.status, body) == (404, f"the only page is {server.url}\n".encode())
    assert maker.made == 0


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "", None],
)
def test_another_name_for_this_machine_gets_nothing(
    host: str | None, server: Server, maker: Maker
) -> None:
    given = host and host.format(port=server.server_port)
    answer, body = ask(server, Host=given)
    assert (answer.status, maker.made) == (421, 0)
    assert PAGE.encode() not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_sent_to_it(method: str, server: Server, maker: Maker) -> None:
    answer, _ = ask(server, method=method)
    assert (answer.status, answer.headers["Connection"], maker.made) == (501, "close", 0)


def test_every_answer_has_the_headers_that_keep_it_to_itself(server: Server) -> None:
    tag = ask(server)[0].headers["ETag"]
    answers = [
        ask(server)[0],
        ask(server, If_None_Match=tag)[0],
        ask(server, "/nothing")[0],
        ask(server, Host="evil.example")[0],
        ask(server, method="POST")[0],
    ]
    assert [answer.status for answer in answers] == [200, 304, 404, 421, 501]
    for answer in answers:
        assert HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["Server"].strip() == "bench"
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert "connect-src" not in HEADERS["Content-Security-Policy"]


def test_a_mistake_while_it_is_made_is_told_and_mended(server: Server, maker: Maker) -> None:
    maker.error = UserError("run.json is damaged")
    answer, body = ask(server)
    assert (answer.status, body) == (500, b"error: run.json is damaged\n")
    assert answer.headers["Content-Type"].startswith("text/plain")
    maker.error = None
    assert ask(server)[0].status == 200


def test_what_is_no_request_is_refused_and_the_next_is_answered(server: Server) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as raw:
            raw.sendall(sent)
            assert b"200" not in raw.recv(200)
    assert ask(server)[0].status == 200


def test_a_browser_that_leaves_is_no_news(
    server: Server, maker: Maker, capfd: pytest.CaptureFixture[str]
) -> None:
    maker.slow = 0.1
    for sent in (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.server_port, b"GET /"):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sendall(sent)
    assert ask(server)[0].status == 200
    time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_only_this_address_is_listened_on(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)


def test_a_port_that_cannot_be_had_is_one_line(server: Server, maker: Maker) -> None:
    page = Fresh(maker.page)
    with pytest.raises(ServeError, match=f"--port {server.server_port}: in use on 127.0.0.1"):
        Server(page, server.server_port)
    for port in (-1, 65536):
        with pytest.raises(ServeError, match=f"--port {port}: expected 0 to 65535"):
            Server(page, port)


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    code = (
        "from bench.report.render.server import serve\n"
        "serve(lambda: 'page', 0, lambda url: print(url, flush=True))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        waiting = HTTPConnection(host, int(port), timeout=5)
        waiting.request("GET", "/")
        assert waiting.getresponse().read() == b"page"  # and the connection stays open
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
