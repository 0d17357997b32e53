"""Reading the official download: every trap keeps its rows, every damage is named."""

import pytest

from reaugkd.errors import DataError
from reaugkd.tasks import get_task, load
from reaugkd.tasks.glue import COLUMNS
from reaugkd.tasks.glue_folder import from_folder

from .glue_files import CELLS, write_folder


@pytest.mark.parametrize("name", COLUMNS)
def test_every_task_reads_its_own_columns(name, tmp_path):
    task = get_task(name)
    write_folder(tmp_path, task, rows=4)
    corpus = from_folder(task, tmp_path)
    labels = [0.0, 2.5, 0.0, 2.5] if task.regression else [i % task.outputs for i in range(4)]
    for table in (corpus.train, *corpus.tests.values()):
        columns = table.to_pydict()
        assert columns.pop("label") == labels
        assert columns.pop("idx") == [0, 1, 2, 3]
        assert list(columns) == (["text_a", "text_b"] if task.pair else ["text_a"])
    assert corpus.train["text_a"].to_pylist() == [f"train a {i}" for i in range(4)]
    if task.pair:
        assert corpus.train["text_b"].to_pylist() == [f"train b {i}" for i in range(4)]
    assert list(corpus.tests) == list(task.tests)
    assert corpus.notes == ()
    assert corpus.source == "folder"


def _sst2(tmp_path, content, name="sst2"):
    task = get_task(name)
    write_folder(tmp_path, task, rows=4)
    path = tmp_path / task.title / "train.tsv"
    path.write_bytes(content)
    return from_folder(task, tmp_path).train


@pytest.mark.parametrize(
    "text",
    [
        'he said " no',
        '"',
        "a &amp; b",
        " spaces at both ends ",
        "bell \x07 unit \x1f file \x1c next line \x85 line \u2028 vertical \x0b form \x0c nul \x00",
        "a lone \r return",
        "",
        "\ufeff inside",
        "é 漢 😀",
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_texts_come_as_they_are(text, end, last, bom, tmp_path):
    lines = [b"sentence\tlabel", f"{text}\t1".encode(), b'plain "\t0']
    train = _sst2(tmp_path, bom + end.join(lines) + (end if last else b""))
    assert train["text_a"].to_pylist() == [text, 'plain "']
    assert train["label"].to_pylist() == [1, 0]


def test_cola_has_no_header_and_keeps_its_first_row(tmp_path):
    train = _sst2(tmp_path, b"gj04\t1\t\tFirst.\ngj04\t0\t*\tSecond.", name="cola")
    assert train.to_pydict() == {"text_a": ["First.", "Second."], "label": [1, 0], "idx": [0, 1]}


def test_rte_and_qnli_put_entailment_first_and_wnli_last(tmp_path):
    for name, first in [("rte", "entailment"), ("qnli", "entailment"), ("wnli", "not_entailment")]:
        assert get_task(name).labels[0] == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"train\.tsv:1: expected a header .* sentence, label; missing: sentence, label"),
        (b"text\tlabel\na\t1\n", r"train\.tsv:1: .*missing: sentence$"),
        (b"sentence\tlabel\n", r"train\.tsv: the split is empty"),
        (b"sentence\tlabel\na\t1\nb\n", r"train\.tsv:3: expected 2 tab-.*, found 1"),
        (b"sentence\tlabel\na\tb\t1\n", r"train\.tsv:2: expected 2 tab-.*, found 3"),
        (b"sentence\tlabel\na\t1\n\nb\t1\n", r"train\.tsv:3: expected 2 tab-.*, found 1"),
        (b"sentence\tlabel\na\t2\n", r"train\.tsv:2: expected a label among .*, found '2'"),
        (b"sentence\tlabel\na\t-1\n", r"train\.tsv:2: expected a label among .*, found '-1'"),
        (b"sentence\tlabel\na\t\n", r"train\.tsv:2: expected a label among .*, found ''"),
        (b"sentence\tlabel\na\t1\n\xff\t1\n", r"train\.tsv:3: expected UTF-8 text"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        _sst2(tmp_path, content)


@pytest.mark.parametrize("score", ["", "x", "nan", "inf", "-0.1", "5.1"])
def test_a_score_out_of_range_is_named_with_its_line(score, tmp_path):
    columns = CELLS["stsb"][0]
    content = "\t".join(columns) + "\n" + "\t".join([*"123456789", score]) + "\n"
    with pytest.raises(DataError, match=r"train\.tsv:2: expected a score from 0 to 5, found"):
        _sst2(tmp_path, content.encode(), name="stsb")


def test_rows_of_qqp_without_all_columns_are_skipped_and_counted(tmp_path):
    header = b"id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    rows = (
        b"1\t2\t3\ta\tb\t1\n4\t5\t6\tbroken by\na newline\t0\n7\t8\t9\tc\td\t\n1\t2\t3\te\tf\t0\n"
    )
    task = get_task("qqp")
    write_folder(tmp_path, task, rows=4)
    (tmp_path / "QQP" / "train.tsv").write_bytes(header + rows)
    corpus = from_folder(task, tmp_path)
    assert corpus.train["text_a"].to_pylist() == ["a", "e"]
    assert corpus.train["idx"].to_pylist() == [0, 1]
    assert corpus.notes == ("QQP/train.tsv: 3 rows without all columns skipped",)
    (tmp_path / "QQP" / "train.tsv").write_bytes(header + b"1\t2\t3\ta\tb\tc\t1\n")
    with pytest.raises(DataError, match=r"train\.tsv:2: expected 6 tab-.*, found 7"):
        from_folder(task, tmp_path)


def test_what_is_missing_is_named(tmp_path):
    task = get_task("mnli")
    with pytest.raises(DataError, match=r"MNLI is not a folder: .*MNLI/dev_mismatched\.tsv"):
        from_folder(task, tmp_path)
    write_folder(tmp_path, task, rows=3)
    (tmp_path / "MNLI" / "dev_mismatched.tsv").unlink()
    with pytest.raises(DataError, match=r"MNLI/dev_mismatched\.tsv is missing"):
        from_folder(task, tmp_path)


def test_the_limit_is_drawn_before_the_division_and_spares_dev(tmp_path):
    write_folder(tmp_path, get_task("rte"), rows=60)
    data = load("rte", data_dir=tmp_path, limit=20)
    assert [len(split) for split in data.splits().values()] == [10, 10, 60]
    used = sorted([*data.fit["idx"], *data.held_out["idx"]])
    assert len(set(used)) == 20
    assert used != list(range(20))


def test_the_fingerprint_follows_rows_division_and_order_only(tmp_path):
    task = get_task("rte")
    write_folder(tmp_path / "one", task, rows=60)
    write_folder(tmp_path / "two", task, rows=60)
    first = load(task, data_dir=tmp_path / "one").fingerprint
    assert load(task, data_dir=tmp_path / "two").fingerprint == first
    assert load(task, data_dir=tmp_path / "two", split_seed=1).fingerprint != first
    path = tmp_path / "two" / "RTE" / "dev.tsv"
    path.write_text(path.read_text().replace("dev a 7\t", "dev a 7 \t"))
    assert load(task, data_dir=tmp_path / "two").fingerprint != first
