"""Tests never reach for a hub, use one thread each, and their processes can be interrupted."""

from __future__ import annotations

import gc
import os
import signal

import hypothesis
import pytest

from reaugkd import processor

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
# Threads of tiny models spin for one another: beside any other work a test takes ten times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says something of the machine, nothing of the law.
hypothesis.settings.register_profile(
    "laws", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("laws")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts in the background deaf to Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """The workers of ``-n auto``: cores that may be used, not those of the machine."""
    return processor.cores()


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What is imported stays: a collection walks what a test made, not a million old objects.

    Every training begins with a collection, and tests train hundreds of models of milliseconds.
    """
    gc.collect()
    gc.freeze()
