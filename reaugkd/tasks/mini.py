"""The embedded suite: three GLUE-shaped tasks from a seeded grammar of our own. It is not GLUE.

It exists so that the whole job runs anywhere, without downloads, in minutes. Rows are the same on
every machine. Labels of ``dev`` are exact; of ``train``, exactly 5 % are wrong: another class, or a
score drawn anew from 0 to 5 (``NOISE``).
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING

from reaugkd.tasks import mini_grammar as grammar
from reaugkd.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from reaugkd.tasks.corpus import Corpus

NOISE = 0.05
TRAIN_ROWS, DEV_ROWS = 8_000, 1_000
_SEED = 20_220_522


def _task(name: str, pair: bool, labels: tuple[str, ...], *metrics: str) -> Task:
    scores = None if labels else (0.0, 5.0)
    title = f"mini-{name}"
    return Task(name, title, "mini", pair, labels, metrics, metrics[0], value_range=scores)


TASKS: dict[str, Task] = {
    "tone": _task("tone", False, ("bad", "good"), "accuracy"),
    "follows": _task("follows", True, ("follows", "open", "contradicted"), "accuracy"),
    "alike": _task("alike", True, (), "pearson", "spearman"),
}

Row = tuple[tuple[str, ...], float]


@cache  # rows are nobody's to change: every plan of a process reads the same ones
def corpus(task: Task) -> Corpus:
    """The rows of one task of the suite; texts differ between and within ``train`` and ``dev``."""
    from reaugkd.tasks.corpus import Corpus, table

    random = Random(f"{_SEED} {task.name}")
    rows: dict[tuple[str, ...], float] = {}
    while len(rows) < TRAIN_ROWS + DEV_ROWS:
        texts, label = _row(task, random, len(rows))
        rows.setdefault(texts, label)
    items = list(rows.items())
    dev, train = items[:DEV_ROWS], _noisy(task, random, items[DEV_ROWS:])
    tables = [
        table(task, list(zip(*(t for t, _ in part), strict=True)), [v for _, v in part], task.name)
        for part in (train, dev)
    ]
    note = f"generated, not GLUE; {NOISE:.0%} of the train labels are wrong, dev is exact"
    return Corpus(task, tables[0], {"dev": tables[1]}, source="mini", notes=(note,))


def _row(task: Task, random: Random, number: int) -> Row:
    """One row; classes take turns, so that they are balanced."""
    label = number % task.outputs
    if task.name == "tone":
        return (grammar.tone(random, label),), label
    if task.name == "follows":
        return grammar.follows(random, label), label
    first, second, score = grammar.alike(random)
    return (first, second), score


def _noisy(task: Task, random: Random, rows: list[Row]) -> list[Row]:
    """``rows`` in random order with a share of :data:`NOISE` wrong labels."""
    random.shuffle(rows)
    wrong = round(NOISE * len(rows))
    changed: list[Row] = []
    for texts, label in rows[:wrong]:
        if task.regression:
            changed.append((texts, random.choice([v / 2 for v in range(11) if v / 2 != label])))
        else:
            changed.append((texts, (label + random.randrange(1, task.outputs)) % task.outputs))
    mixed = changed + rows[wrong:]
    random.shuffle(mixed)
    return mixed


def tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer of the grammar's words with BERT's special tokens and pair form."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: i for i, word in enumerate([*special, *grammar.words()])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=64,
    )
