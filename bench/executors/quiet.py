"""Processes that do not talk over the progress of a run, take too many cores or outlive it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from reaugkd import processor


def quieten() -> None:
    """Silence progress bars and notices of transformers and datasets in this process."""
    import datasets
    import transformers
    from tqdm import tqdm  # type: ignore[import-untyped]  # it ships no types

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    # A silent bar takes its lock all the same. The default one is a semaphore of the system, which
    # a worker that Ctrl-C ends leaves behind with a warning.
    tqdm.set_lock(threading.RLock())


def limit_threads(most: int | None) -> None:
    """Let torch use ``most`` threads, or by default no more than this process has cores.

    torch counts the cores of its affinity, but not the share of them that a container may use.
    """
    import torch

    if most is not None:
        torch.set_num_threads(most)
    elif torch.get_num_threads() > (cores := processor.cores()):
        torch.set_num_threads(cores)


ENDINGS = (signal.SIGTERM, signal.SIGHUP)
"""What a scheduler sends, and a terminal that closes."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP are Ctrl-C: a run ends its workers and gives the terminal back.

    What is ignored (``nohup``) stays so.
    """
    before = {number: signal.getsignal(number) for number in ENDINGS}
    heard = [number for number in ENDINGS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
