"""The real files: counts as published, and rows that only a careful reader keeps."""

import os
from collections import Counter
from pathlib import Path

import pytest

from reaugkd.tasks import get_task, load
from reaugkd.tasks.glue_folder import from_folder

pytestmark = pytest.mark.glue

COUNTS = {
    "cola": (8551, 1043, {1: 6023, 0: 2528}),
    "sst2": (67349, 872, {1: 37569, 0: 29780}),
    "mrpc": (3668, 408, {1: 2474, 0: 1194}),
    "stsb": (5749, 1500, None),
    "rte": (2490, 277, {0: 1249, 1: 1241}),
    "wnli": (635, 71, {1: 312, 0: 323}),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(os.environ["REAUGKD_GLUE_DIR"])


@pytest.mark.parametrize("name", COUNTS)
def test_rows_and_labels_are_counted_as_published(name, folder):
    train, dev, labels = COUNTS[name]
    corpus = from_folder(get_task(name), folder)
    assert (corpus.train.num_rows, corpus.tests["dev"].num_rows) == (train, dev)
    assert corpus.notes == ()
    if labels is None:
        scores = corpus.train["label"].to_pylist()
        assert (min(scores), max(scores)) == (0.0, 5.0)
    else:
        assert Counter(corpus.train["label"].to_pylist()) == labels


@pytest.mark.parametrize("name", COUNTS)
def test_the_division_is_whole_and_within_its_bounds(name, folder):
    data = load(name, data_dir=folder)
    train = COUNTS[name][0]
    assert len(data.held_out) == min(2000, max(200, round(train / 10)))
    assert sorted([*data.fit["idx"], *data.held_out["idx"]]) == list(range(train))


def test_texts_are_upstreams_own(folder):
    sst2 = from_folder(get_task("sst2"), folder).train
    assert sst2["text_a"][0].as_py() == "hide new secretions from the parental units "
    mrpc = from_folder(get_task("mrpc"), folder).train
    assert sum(text.count('"') for text in mrpc["text_a"].to_pylist()) > 1000
