from __future__ import annotations

import os
import sys

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


def test_the_processor_has_a_name() -> None:
    assert processor.model()
    assert processor.model() == processor.facts().get("model name", processor.model())
