"""A process ends with the one that started it, even one that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CHILD = (
    "from reaugkd.lifeline import end_with_parent; end_with_parent(); {ready}; "
    "import time; time.sleep(60)"
)

BY_SUBPROCESS = f"""
import signal, subprocess, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup
from reaugkd.lifeline import lifeline
child = "import os; {CHILD.format(ready="print(os.getpid(), flush=True)")}"
with lifeline() as stdin:
    subprocess.run([sys.executable, "-c", child], stdin=stdin)
"""

BY_MULTIPROCESSING = """
import multiprocessing, os, signal, time
from reaugkd.lifeline import end_with_parent
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def work():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
"""


def ends(pid: int, within: float = 10.0) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("script", [BY_SUBPROCESS, BY_MULTIPROCESSING])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGHUP])
def test_a_child_ends_with_a_parent_that_is_killed(
    script: str, ending: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "parent.py"
    path.write_text(script)
    parent = subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert not ends(child, within=0.2)
        parent.send_signal(ending)
        assert parent.wait() == -ending
        assert ends(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def test_a_process_without_a_lifeline_goes_on() -> None:
    child = "from reaugkd.lifeline import end_with_parent; end_with_parent(); print('here')"
    done = subprocess.run(
        [sys.executable, "-c", child],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == "here\n"
