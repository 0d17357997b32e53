"""Encoding: the ids are the tokenizer's own, row for row."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, DistilBertTokenizer, PreTrainedTokenizerFast

from reaugkd.errors import UserError
from reaugkd.tasks import load, mini
from reaugkd.tasks.encode import encode, ids_fingerprint, tokenizer_fingerprint


@pytest.fixture(scope="module")
def data():
    return load("follows", limit=40)


def test_every_row_is_what_the_tokenizer_makes_of_it(data):
    tokenizer = mini.tokenizer()
    encoded = encode(data, tokenizer, max_length=64)
    assert list(encoded) == ["fit", "held_out", "dev"]
    for name, rows in encoded.items():
        split = data.splits()[name]
        assert rows["label"][:] == split["label"][:]
        assert rows["idx"][:] == split["idx"][:]
        for row, source in zip(rows, split, strict=True):
            alone = tokenizer(source["text_a"], source["text_b"])
            assert row["input_ids"] == alone["input_ids"]
            assert row["token_type_ids"] == alone["token_type_ids"]
            assert row["length"] == len(row["input_ids"])


@pytest.mark.parametrize("max_length", [5, 9, 13])
def test_the_longer_sentence_is_cut_first(data, max_length):
    rows = encode(data, mini.tokenizer(), max_length)["dev"]
    for row, source in zip(rows, data.tests["dev"], strict=True):
        kept = row["token_type_ids"].count(0) - 2, row["token_type_ids"].count(1) - 1
        whole = len(source["text_a"].split()), len(source["text_b"].split())
        assert row["length"] == min(max_length, sum(whole) + 3)
        for one, other in ((0, 1), (1, 0)):
            assert kept[one] == whole[one] or kept[one] >= kept[other] - 1


def test_no_room_for_a_word_is_refused(data):
    with pytest.raises(UserError, match="at least 5 for this tokenizer"):
        encode(data, mini.tokenizer(), max_length=4)


def test_a_tokenizer_without_types_gives_none(data):
    tokenizer = mini.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    rows = encode(data, tokenizer, 64)["dev"]
    assert set(rows.column_names) == {"label", "idx", "input_ids", "length"}


def test_encoding_is_pure_and_survives_the_disk(data, tmp_path):
    from datasets import load_from_disk

    first, again = (encode(data, mini.tokenizer(), 64)["fit"] for _ in range(2))
    assert first._fingerprint == again._fingerprint
    assert not first.cache_files
    first.save_to_disk(tmp_path / "fit")
    assert load_from_disk(tmp_path / "fit").to_dict() == first.to_dict()


def test_the_fingerprint_forgets_the_path_and_the_last_call(tmp_path):
    tokenizer = mini.tokenizer()
    before = tokenizer_fingerprint(tokenizer)
    tokenizer("a", padding="max_length", truncation=True, max_length=9)
    assert tokenizer_fingerprint(tokenizer) == before
    for name in ("here", "there"):
        tokenizer.save_pretrained(tmp_path / name)
        loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path / name)
        assert tokenizer_fingerprint(loaded) == before


def _word_level(words, lower=False):
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = (
        pre_tokenizers.Whitespace() if lower else pre_tokenizers.WhitespaceSplit()
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


def test_the_fingerprint_follows_all_that_changes_ids():
    tokenizers = [
        mini.tokenizer(),
        _word_level(["[UNK]", "a", "b"]),
        _word_level(["[UNK]", "b", "a"]),
        _word_level(["[UNK]", "a", "b", "c"]),
        _word_level(["[UNK]", "a", "b"], lower=True),
    ]
    assert len({tokenizer_fingerprint(tokenizer) for tokenizer in tokenizers}) == len(tokenizers)


def test_bert_with_and_without_lower_case_differ(tmp_path):
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
    lower, cased = (BertTokenizer(vocab=vocabulary, do_lower_case=flag) for flag in (True, False))
    assert tokenizer_fingerprint(lower) != tokenizer_fingerprint(cased)


def test_equal_ids_have_one_fingerprint_whatever_the_inputs_are_called():
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])}
    bert, distilbert = (kind(vocab=vocabulary) for kind in (BertTokenizer, DistilBertTokenizer))
    assert bert("a", "b a")["input_ids"] == distilbert("a", "b a")["input_ids"]
    assert ids_fingerprint(bert) == ids_fingerprint(distilbert)
    assert tokenizer_fingerprint(bert) != tokenizer_fingerprint(distilbert)
    bert.padding_side = "left"  # batches pad on the right anyway
    assert ids_fingerprint(bert) == ids_fingerprint(distilbert)


def test_whatever_changes_ids_changes_their_fingerprint():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    vocabulary = {word: number for number, word in enumerate(words)}
    renumbered = {word: number for number, word in enumerate(reversed(words))}
    cut = BertTokenizer(vocab=vocabulary)
    cut.truncation_side = "left"
    padded = BertTokenizer(vocab=vocabulary, pad_token="[MASK]")
    tokenizers = [
        BertTokenizer(vocab=vocabulary),
        BertTokenizer(vocab=vocabulary, do_lower_case=False),
        BertTokenizer(vocab=renumbered),
        cut,
        padded,
    ]
    assert len({ids_fingerprint(tokenizer) for tokenizer in tokenizers}) == len(tokenizers)
