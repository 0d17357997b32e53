"""Record how long the inputs of the GLUE tasks are; only counts are stored, never text.

``python -m bench.measure.lengths GLUE_DIR TOKENIZER_DIR`` writes ``lengths.json`` beside this file
from the train files of the tasks that ``GLUE_DIR`` holds.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.measure.inputs import LENGTHS, STAND_INS, tokens
from reaugkd.artifacts.store import write_json
from reaugkd.models.spec import ModelSpec, load_tokenizer
from reaugkd.tasks.encode import tokenizer_fingerprint
from reaugkd.tasks.glue import TASKS
from reaugkd.tasks.glue_folder import from_folder

MAX_LENGTH = 128


def record(data_dir: Path, tokenizer_dir: str, tasks: Sequence[str]) -> dict[str, Any]:
    """By task, how many inputs of train have how many tokens, special ones included.

    Raises:
        UserError: naming what is missing.
    """
    tokenizer = load_tokenizer(ModelSpec(source=tokenizer_dir))
    counts = {}
    for name in tasks:
        train = from_folder(TASKS[name], data_dir).train
        histogram = Counter(map(len, tokens(train, tokenizer, MAX_LENGTH)["input_ids"]))
        counts[name] = {str(length): histogram[length] for length in sorted(histogram)}
    return {
        "of": "tokens of an input of train, [CLS] and [SEP] included, cut at max_length",
        "tokenizer": f"BERT uncased WordPiece, fingerprint {tokenizer_fingerprint(tokenizer)[:12]}",
        "max_length": MAX_LENGTH,
        "tasks": counts,
    }


if __name__ == "__main__":
    write_json(LENGTHS, record(Path(sys.argv[1]), sys.argv[2], sorted(TASKS.keys() - STAND_INS)))
