"""Tiny GLUE files in the layout of the official download, for tests."""

from pathlib import Path

from reaugkd.tasks.task import Task

_PAIR = ["sentence1", "sentence2"]
_TWO = ["index", *_PAIR, "label"]

CELLS: dict[str, tuple[list[str], dict[str, str]]] = {
    # all columns in their order; the role (a, b or y) of those that are read
    "cola": (["source", "label", "star", "sentence"], {"sentence": "a", "label": "y"}),
    "sst2": (["sentence", "label"], {"sentence": "a", "label": "y"}),
    "mrpc": (
        ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
        {"#1 String": "a", "#2 String": "b", "Quality": "y"},
    ),
    "stsb": (
        [*"abcdefg", "sentence1", "sentence2", "score"],  # index, genre, file, ...
        {"sentence1": "a", "sentence2": "b", "score": "y"},
    ),
    "rte": (_TWO, {"sentence1": "a", "sentence2": "b", "label": "y"}),
    "wnli": (_TWO, {"sentence1": "a", "sentence2": "b", "label": "y"}),
    "qnli": (
        ["index", "question", "sentence", "label"],
        {"question": "a", "sentence": "b", "label": "y"},
    ),
    "qqp": (
        ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
        {"question1": "a", "question2": "b", "is_duplicate": "y"},
    ),
    "mnli": (
        ["index", "promptID", "pairID", "genre", "sentence1", "sentence2", "label1", "gold_label"],
        {"sentence1": "a", "sentence2": "b", "gold_label": "y"},
    ),
}
WRITTEN = {"rte", "qnli", "mnli"}
"""Tasks whose files hold class names instead of ids."""


def label(task: Task, row: int) -> str:
    """The label of ``row`` as the official file writes it: classes take turns."""
    if task.regression:
        return f"{2.5 * (row % 2):.3f}"
    number = row % task.outputs
    return task.labels[number] if task.name in WRITTEN else str(number)


def write_folder(folder: Path, task: Task, rows: int) -> None:
    """Write ``train`` and the dev files of ``task`` with texts such as ``"train a 0"``."""
    columns, roles = CELLS[task.name]
    (folder / task.title).mkdir(parents=True, exist_ok=True)
    for split in ("train", *task.tests):
        lines = [] if task.name == "cola" else ["\t".join(columns)]
        for row in range(rows):
            cells = {"a": f"{split} a {row}", "b": f"{split} b {row}", "y": label(task, row)}
            lines.append("\t".join(cells.get(roles.get(name, ""), "-") for name in columns))
        bom = "\ufeff" if task.name == "mrpc" else ""
        text = bom + "\n".join(lines) + "\n"
        (folder / task.title / f"{split}.tsv").write_text(text, encoding="utf-8", newline="")
