from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import pytest

from reaugkd import processor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sets affinity")


def test_cores_are_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert processor.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert processor.cores() == len(allowed)


GROUPS = [
    ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
    ("0::/\n", {"cpu.max": "max 100000\n"}, math.inf),
    ("0::/\n", {}, math.inf),
    ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
    ("0::/a\n", {"cpu.max": "50000 100000\n", "a/cpu.max": "300000 100000\n"}, 0.5),
    (
        "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n",
        {"cpu,cpuacct/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
        2.5,
    ),
    (
        "4:cpu:/x\n",
        {"cpu/x/cpu.cfs_quota_us": "-1\n", "cpu/x/cpu.cfs_period_us": "100000\n"},
        math.inf,
    ),
    ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
]


@pytest.mark.parametrize(("own", "files", "expected"), GROUPS)
def test_the_quota_is_the_least_of_all_groups_above(
    own: str, files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert processor.quota(tmp_path / "own", tmp_path / "tree") == expected


def test_no_control_groups_no_quota(tmp_path: Path) -> None:
    assert processor.quota(tmp_path / "own", tmp_path) == math.inf


@pytest.mark.parametrize(("quota", "cores"), [(0.1, 1), (1.0, 1), (math.inf, None)])
def test_a_share_of_time_is_rounded_up_to_cores(
    quota: float, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "quota", lambda: quota)
    assert processor.cores() == (cores or len(os.sched_getaffinity(0)))


def test_the_processor_has_a_name() -> None:
    assert processor.model()
    assert processor.model() == processor.facts().get("model name", processor.model())
