"""The service against its own OpenAPI description: whatever it is sent, it keeps to it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.bench.serve.servers import served
from tests.reaugkd.retrieval.test_classifier import classifier

PROGRAM = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="needs schemathesis: `tox run -e schema`")
@pytest.mark.parametrize("pair", [None, True])
def test_nothing_that_is_sent_brings_it_down(pair: bool | None, tmp_path: Path) -> None:
    classifier(k=2, pair=pair).save_pretrained(tmp_path / "c")
    with served(tmp_path / "c", "--max-texts", 8, "--max-body", 100_000) as (_, url):
        done = subprocess.run(
            [str(PROGRAM), "--config-file", str(SETTINGS), "run", f"{url}openapi.json"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        assert httpx2.get(f"{url}health").json()["ready"]
