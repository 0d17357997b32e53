"""``bench serve``: mistakes in one line, and a real server that is asked, stopped and replaced."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from bench.cli import serve
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from tests.bench import runs
from tests.bench.serve.servers import served
from tests.reaugkd.retrieval.test_classifier import TEXTS
from tests.reaugkd.retrieval.test_editable import NEW, editable

CLIENTS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("serve") / "c"
    editable().save_pretrained(place)
    return place


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["none"], "describes no classifier"),
        (["C", "--max-queue", "3"], "--max-queue 3 is less than --max-texts 256"),
        (["C", "--max-batch", "0"], "--max-batch"),
        (["C", "--port", "70000"], "--port"),
        (["C", "--timeout", "0"], "--timeout"),
        (["C", "--allow-host", "a.example:80"], "a name without port"),
        (["C", "--host", "no such name"], "cannot listen on --host no such name"),
        ([], "FOLDER"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], line: str, folder: Path, nothing_is_loaded: None
) -> None:
    done = runs.bench("serve", *(folder if word == "C" else word for word in words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert line in done.stderr


def test_a_port_that_is_in_use_is_one_line(folder: Path, nothing_is_loaded: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = runs.bench("serve", folder, "--port", port)
    assert done.exit_code == 2
    assert f"cannot listen on --host 127.0.0.1 --port {port}: " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("library", serve.LIBRARIES)
def test_a_missing_library_is_one_line_that_names_the_extra(
    library: str, folder: Path, nothing_is_loaded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == library else name)
    done = runs.bench("serve", folder)
    assert done.exit_code == 2
    assert done.stderr == (
        f"error: {library} is not installed: pip install 'reaugkd[serve]' brings it\n"
    )


def test_help_shows_an_example_and_every_limit() -> None:
    told = runs.bench("serve", "--help").output
    assert "bench serve bank-classifier" in told
    for flag in ("wait", "batch", "queue", "texts", "chars", "body"):
        assert f"--max-{flag}" in told


@pytest.fixture
def nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetrievalAugmentedClassifier, "from_pretrained", None)


# --- a real server -------------------------------------------------------------------------------


def test_eight_clients_are_answered_and_those_that_run_at_sigterm_too(folder: Path) -> None:
    # A batch waits for eight texts, or for seconds.
    with served(folder, "--max-batch", CLIENTS, "--max-wait", 2000) as (server, url):
        assert_answered_to_the_last(server, url, folder)


def assert_answered_to_the_last(server: subprocess.Popen[str], url: str, folder: Path) -> None:
    texts = [*TEXTS, *NEW]
    alone = RetrievalAugmentedClassifier.from_pretrained(folder)

    def ask(text: str) -> str:
        told = httpx2.post(f"{url}predict", json={"texts": [text]}, timeout=60)
        assert told.status_code == 200, told.text
        return str(told.json()["answers"][0]["label"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert [*pool.map(ask, texts * 2)] == [alone.explain(text).label for text in texts * 2]
        # One less than a batch: they wait for others, and run when the signal comes.
        running = [pool.submit(ask, text) for text in texts[1:]]
        waiting = f"reaugkd_waiting_texts {CLIENTS - 1}.0"
        while waiting not in httpx2.get(f"{url}metrics").text:
            assert not all(asked.done() for asked in running), "the machine is too slow for this"
        server.send_signal(signal.SIGTERM)
        assert [asked.result() for asked in running] == [alone.explain(t).label for t in texts[1:]]
    _, log = server.communicate(timeout=60)
    assert server.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert sum(line.get("texts", 0) for line in lines) == 3 * CLIENTS - 1
    assert not any(text in log for text in texts)
