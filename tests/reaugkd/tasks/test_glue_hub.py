"""The hub's layout gives the same rows as the official download."""

from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reaugkd.errors import DataError, UserError
from reaugkd.tasks import get_task, glue_tests, load
from reaugkd.tasks.glue import COLUMNS, DIAGNOSTIC
from reaugkd.tasks.glue_folder import from_folder
from reaugkd.tasks.glue_hub import from_hub

from .glue_files import write_folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write_hub(repo: Path, task, tables, names=None):
    """Write ``tables`` by split as the hub keeps them: parquet files and a README with configs."""
    columns = COLUMNS[task.name].hub
    features = datasets.Features(
        {name: datasets.Value("string") for name in columns}
        | {
            "label": datasets.Value("float32")
            if task.regression
            else datasets.ClassLabel(names=list(names or task.labels)),
            "idx": datasets.Value("int32"),
        }
    )
    files = []
    (repo / task.name).mkdir(parents=True)
    for split, table in tables.items():
        split = split.replace("dev", "validation")
        texts = [table[name] for name in ("text_a", "text_b") if name in table.column_names]
        gaps = pa.array([2 * i for i in range(table.num_rows)], pa.int32())
        arrays = [*texts, table["label"], gaps]
        rows = datasets.Dataset(pa.table(arrays, names=[*columns, "label", "idx"])).cast(features)
        file = f"{task.name}/{split}-00000-of-00001.parquet"
        pq.write_table(rows.data.table, repo / file)
        files.append(f"  - split: {split}\n    path: {task.name}/{split}-*")
    card = f"---\nconfigs:\n- config_name: {task.name}\n  data_files:\n" + "\n".join(files)
    (repo / "README.md").write_text(card + "\n---\n")


@pytest.mark.parametrize("name", COLUMNS)
def test_folder_and_hub_give_the_same_rows_and_fingerprint(name, tmp_path):
    task = get_task(name)
    write_folder(tmp_path / "folder", task, rows=40)
    folder = from_folder(task, tmp_path / "folder")
    write_hub(tmp_path / "hub", task, {"train": folder.train, **folder.tests})
    hub = from_hub(task, str(tmp_path / "hub"))
    assert hub.train.equals(folder.train)
    assert list(hub.tests) == list(folder.tests)
    assert all(hub.tests[split].equals(folder.tests[split]) for split in folder.tests)
    assert hub.source == f"hub:{tmp_path / 'hub'}"
    one = load(task, data_dir=tmp_path / "folder")
    two = load(task, hub=str(tmp_path / "hub"))
    assert one.fingerprint == two.fingerprint
    assert one.fit.to_dict() == two.fit.to_dict()
    assert one.fit.features == two.fit.features


def _rte(tmp_path, change, names=None):
    task = get_task("rte")
    write_folder(tmp_path / "folder", task, rows=8)
    folder = from_folder(task, tmp_path / "folder")
    tables = change({"train": folder.train, **folder.tests})
    write_hub(tmp_path / "hub", task, tables, names)
    return from_hub(task, str(tmp_path / "hub"))


def test_labels_in_another_order_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected the labels \('entailment', 'not_entailment'\)"):
        _rte(tmp_path, lambda tables: tables, names=["not_entailment", "entailment"])


def test_rows_without_a_label_are_refused(tmp_path):
    def unlabel(tables):
        dev = tables["dev"]
        labels = pa.array([*dev["label"].to_pylist()[:-1], -1], pa.int64())
        return {**tables, "dev": dev.set_column(2, "label", labels)}

    with pytest.raises(DataError, match=r"validation\), row 7: expected a label from 0 to 1"):
        _rte(tmp_path, unlabel)


def test_a_missing_split_is_told(tmp_path):
    with pytest.raises(UserError, match=r"cannot load RTE from .*validation"):
        _rte(tmp_path, lambda tables: {"train": tables["train"]})


def test_an_empty_split_is_refused_by_datasets_itself(tmp_path):
    with pytest.raises(UserError, match="cannot load RTE"):
        _rte(tmp_path, lambda tables: {**tables, "dev": tables["dev"].slice(0, 0)})


@pytest.mark.parametrize("repo", ["nyu-mll/glue", "/no/such/folder"])
def test_a_hub_out_of_reach_is_one_line_that_offers_the_folder(repo):
    with pytest.raises(UserError, match=f"cannot load RTE from {repo}: .*use --data-dir") as caught:
        load("rte", hub=repo)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split"), [("cola", "test"), ("mnli", "test_mismatched"), ("mnli", DIAGNOSTIC)]
)
def test_test_rows_are_the_same_from_both(name, split, tmp_path):
    task = get_task(name)
    config = DIAGNOSTIC if split == DIAGNOSTIC else name
    texts = [(f'"a {row}', "b  x")[: 1 + task.pair] for row in range(3)]
    columns = dict(zip(COLUMNS[name].hub, map(list, zip(*texts, strict=True)), strict=True))
    hub = tmp_path / "hub"
    hub.mkdir()
    rows = datasets.Dataset.from_dict({**columns, "label": [-1] * 3, "idx": [5, 7, 9]})
    rows.to_parquet(hub / "rows.parquet")
    split_there = "test" if split == DIAGNOSTIC else split
    files = f"  data_files:\n  - split: {split_there}\n    path: rows.parquet\n"
    (hub / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n{files}---\n")
    file = "diagnostic/diagnostic.tsv" if split == DIAGNOSTIC else f"{task.title}/{split}.tsv"
    (tmp_path / file).parent.mkdir()
    lines = [("index", *COLUMNS[name].texts), *((str(row), *t) for row, t in enumerate(texts))]
    (tmp_path / file).write_text("\n".join("\t".join(line) for line in lines))
    folder = glue_tests.from_folder(task, split, tmp_path)
    assert folder.texts == glue_tests.from_hub(task, split, str(hub)).texts == texts


def test_a_hub_without_test_rows_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot load RTE \(test\) from .*--data-dir"):
        glue_tests.from_hub(get_task("rte"), "test", str(tmp_path))
