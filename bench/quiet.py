"""Libraries that would talk over the progress of a run are told to be silent."""

from __future__ import annotations


def quieten() -> None:
    """Silence progress bars and notices of transformers and datasets in this process."""
    import datasets
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
