"""Libraries that would talk over the progress of a run are told to be silent."""

from __future__ import annotations

import threading


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
