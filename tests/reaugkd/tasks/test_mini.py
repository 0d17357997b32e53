"""Laws of the embedded suite: the same everywhere, balanced, noisy by exactly what is stated."""

import re
import subprocess
import sys
from collections import Counter
from random import Random

import pytest

from reaugkd.tasks import TASKS, load, mini, mini_grammar, task_names

MINI = [TASKS[name] for name in task_names("mini")]
GOOD = {*mini_grammar.GOOD, *mini_grammar.VERDICTS[True]}
NEGATORS, STRONG = set(mini_grammar.NEGATORS), set(mini_grammar.STRONG)
KIND = {noun: kind for kind, nouns in mini_grammar.KINDS.items() for noun in [kind, *nouns]}


@pytest.fixture(scope="module", params=MINI, ids=lambda task: task.name)
def corpus(request):
    return mini.corpus(request.param)


def texts(table):
    names = [name for name in ("text_a", "text_b") if name in table.column_names]
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def clauses(text):
    """Kind and level of every clause, read from the words alone."""
    for part in re.split(
        r"(?:^| )(?=the )", re.sub(r"\b(but|although|\w+body thought)\b", "", text)
    ):
        tokens = part.split()
        if not tokens:
            continue
        negated = bool(NEGATORS & set(tokens))
        good = (tokens[-1] in GOOD) != negated
        size = 2 if STRONG & set(tokens) and not negated else 1
        yield KIND[tokens[1]], size if good else -size


def truth(task, row):
    """The exact label of ``row``: the grammar's meaning, written a second time."""
    if task.name == "tone":
        told = [level for _, level in clauses(row[0])]
        claim = told[0 if re.search(r"(?<!thought) although", row[0]) else -1]
        return int((claim > 0) != row[0].startswith("nobody"))
    first, second = (list(clauses(text)) for text in row)
    if task.name == "follows":
        (kind, level) = second[0]
        told = dict(first)
        return 1 if kind not in told else 0 if (told[kind] > 0) == (level > 0) else 2
    (kind, level), (other_kind, other) = first[0], second[0]
    return 3 * (1 - abs(level - other) / 4) + 2 * (kind == other_kind)


def test_dev_labels_are_exact_and_five_percent_of_train_are_wrong(corpus):
    def wrong(table):
        labels = table["label"].to_pylist()
        return sum(truth(corpus.task, t) != y for t, y in zip(texts(table), labels, strict=True))

    assert wrong(corpus.tests["dev"]) == 0
    assert wrong(corpus.train) == round(mini.NOISE * mini.TRAIN_ROWS)


def test_sizes_and_texts_are_as_stated_and_never_repeat(corpus):
    train, dev = texts(corpus.train), texts(corpus.tests["dev"])
    assert (len(train), len(dev)) == (mini.TRAIN_ROWS, mini.DEV_ROWS)
    assert len({*train, *dev}) == mini.TRAIN_ROWS + mini.DEV_ROWS
    assert {len(text.split()) for row in train for text in row} <= set(range(4, 16))


def test_classes_are_balanced_and_scores_cover_their_range(corpus):
    labels = corpus.tests["dev"]["label"].to_pylist()
    if corpus.task.regression:
        assert (min(labels), max(labels)) == (0.0, 5.0)
    else:
        counts = Counter(labels).values()
        share = mini.DEV_ROWS / corpus.task.outputs
        assert len(counts) == corpus.task.outputs
        assert max(counts) - share < 0.03 * share


def test_the_second_sentence_alone_does_not_tell_the_class():
    """Single words hint at the class (else nothing is learnt at first) but do not decide it."""
    seen = Counter()
    rows = 6_000
    for number in range(rows):
        _, hypothesis = mini_grammar.follows(Random(number), number % 3)
        ((kind, level),) = clauses(hypothesis)
        seen[kind, level > 0, number % 3] += 1
    sides = {(kind, good) for kind, good, _ in seen}
    best = sum(max(seen[kind, good, label] for label in range(3)) for kind, good in sides)
    assert 0.5 < best / rows < 0.8


def test_the_tokenizer_knows_every_word_and_no_other(corpus):
    tokenizer = mini.tokenizer()
    used = {word for row in texts(corpus.train) for text in row for word in text.split()}
    vocabulary = tokenizer.get_vocab()
    assert used <= vocabulary.keys()
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert len(mini_grammar.words()) == len(set(mini_grammar.words()))
    ids = tokenizer("the zebra", "the soup")
    tokens = tokenizer.convert_ids_to_tokens(ids["input_ids"])
    assert tokens == ["[CLS]", "the", "[UNK]", "[SEP]", "the", "soup", "[SEP]"]
    assert ids["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert tokenizer.pad_token_id == 0


def test_the_rows_are_the_same_in_another_process():
    names = [task.name for task in MINI]
    code = f"from reaugkd.tasks import load; print(*(load(n).fingerprint for n in {names}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PATH": ""},
    )
    assert run.stdout.split() == [load(name).fingerprint for name in names]
