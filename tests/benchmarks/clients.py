"""Clients of a service, in a process of their own: ``python -m tests.benchmarks.clients URL ...``.

Each is a thread with one connection that asks for one text after the other, the next as soon as
the last is answered. Answers are read whole and not parsed: what is measured is the service, and
the clients share the machine with it.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

from tests import banking

HEADERS = {"Content-Type": "application/json"}
WARM = 20
"""Requests of each client before the clock starts."""


class Client(threading.Thread):
    """One client; ``laps`` are the seconds of its answers, ``errors`` what else came."""

    def __init__(
        self, url: str, bodies: list[bytes], seconds: float, started: threading.Barrier
    ) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.path, self.bodies, self.seconds, self.started = parts.path, bodies, seconds, started
        self.laps: list[float] = []
        self.errors: Counter[str] = Counter()
        self.began = self.ended = 0.0

    def run(self) -> None:
        for number in range(WARM):
            self.ask(number)
        self.laps.clear()
        self.started.wait()
        self.began = self.ended = time.perf_counter()
        number = 0
        while self.ended - self.began < self.seconds:
            self.ask(number)
            number += 1
            self.ended = time.perf_counter()

    def ask(self, number: int) -> None:
        began = time.perf_counter()
        try:
            body = self.bodies[number % len(self.bodies)]
            self.connection.request("POST", self.path, body, HEADERS)
            answer = self.connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.errors[type(error).__name__] += 1
            self.connection.close()  # the next request opens it again
            return
        if answer.status == http.client.OK:
            self.laps.append(time.perf_counter() - began)
        else:
            self.errors[str(answer.status)] += 1


def ask(url: str, clients: int, seconds: float) -> dict[str, object]:
    """What ``clients`` saw: all ``laps`` in seconds, ``errors`` by name, and ``seconds`` taken."""
    bodies = [json.dumps({"texts": [text]}).encode() for text, _ in banking.rows()]
    started = threading.Barrier(clients)
    places = [len(bodies) * number // clients for number in range(clients)]
    asking = [Client(url, bodies[at:] + bodies[:at], seconds, started) for at in places]
    for client in asking:
        client.start()
    for client in asking:
        client.join()
    return {
        "laps": [lap for client in asking for lap in client.laps],
        "errors": dict(sum((client.errors for client in asking), Counter())),
        "seconds": max(c.ended for c in asking) - min(c.began for c in asking),
    }


if __name__ == "__main__":
    url, clients, seconds = sys.argv[1:]
    json.dump(ask(url, int(clients), float(seconds)), sys.stdout)
