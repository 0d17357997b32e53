"""Files of a black-box teacher's outputs: Parquet, JSONL, CSV and npz as arrays by column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import DataError
from reaugkd.paths import expanded

if TYPE_CHECKING:
    import pyarrow as pa

IDS, LABEL = "idx", "label"
PREFIX = {"probabilities": "p_", "logits": "logit_", "embeddings": "e_"}
"""Name of a table -> what the names of its columns begin with where each is a column of its own."""

TRAIN = "train"

Columns = dict[str, NDArray[Any]]
"""Name -> values [N] or [N, n]; the fields of a struct stand under ``name/field``."""


def files(path: Path, splits: tuple[str, ...]) -> dict[str, Path]:
    """Split -> its file: ``path`` itself for ``train``, or the files of a folder, named by split.

    A DataError names what is not there, belongs to no split or stands twice.
    """
    path = expanded(path)
    if path.is_file():
        return {TRAIN: path}
    if not path.is_dir():
        raise DataError(f"no outputs of a teacher at {path}")
    by_split: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() not in _READERS:
            continue
        if file.stem not in splits:
            near = get_close_matches(file.stem, splits, n=1, cutoff=0.5)
            hint = f" did you mean '{near[0]}'?" if near else ""
            raise DataError(f"{file}: no split '{file.stem}':{hint} (known: {', '.join(splits)})")
        if file.stem in by_split:
            raise DataError(f"{by_split[file.stem]} and {file}: two files for one split")
        by_split[file.stem] = file
    if TRAIN not in by_split:
        kinds = ", ".join(f"{TRAIN}{suffix}" for suffix in _READERS)
        raise DataError(f"{path} has no outputs for {TRAIN}: expected one of {kinds}")
    return by_split


def columns(path: Path) -> Columns:
    """The columns of a file that matter, all of one length of at least 1.

    A DataError names the file and, where there is one, the row (from 0) without a value.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: outputs are read from {', '.join(_READERS)} files")
    try:
        values = reader(path)
    except DataError:
        raise
    except Exception as error:
        # Arrow, NumPy, zipfile and the codecs raise their own for what is one thing to the user:
        # the file is not what its name says. The cause stays attached.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot read {path}: {reason}") from error
    lengths = {name: len(value) for name, value in values.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise DataError(f"{path}: its arrays differ in length: {shown}")
    if 0 in lengths.values():
        raise DataError(f"{path}: no rows")
    return values


def _parquet(path: Path) -> Columns:
    from pyarrow import parquet

    return _of_table(path, parquet.read_table(path))


def _jsonl(path: Path) -> Columns:
    from pyarrow import json

    return _of_table(path, json.read_json(path))


def _csv(path: Path) -> Columns:
    from pyarrow import csv

    return _of_table(path, csv.read_csv(path))


def _npz(path: Path) -> Columns:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: np.atleast_1d(arrays[name]) for name in arrays.files if _matters(name)}


_READERS: Mapping[str, Callable[[Path], Columns]] = {
    ".parquet": _parquet,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".npz": _npz,
}


def _matters(name: str) -> bool:
    return name in (IDS, LABEL, *PREFIX) or name.startswith(tuple(PREFIX.values()))


def _of_table(path: Path, table: pa.Table) -> Columns:
    """The columns of an Arrow table as arrays, lists as [N, n]."""
    import pyarrow as pa

    if not table.num_rows:
        raise DataError(f"{path}: no rows")
    arrays: Columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not _matters(name):
            continue
        if name in arrays:
            raise DataError(f"{path}: two columns '{name}'")
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{path}, row {row}: {name} is missing")
        values = column.combine_chunks()
        if pa.types.is_struct(values.type):
            for field in values.type:
                part = values.field(field.name)
                arrays[f"{name}/{field.name}"] = part.to_numpy(zero_copy_only=False)
        elif hasattr(values.type, "value_type"):
            arrays[name] = _of_lists(path, name, values)
        else:
            arrays[name] = values.to_numpy(zero_copy_only=False)
    return arrays


def _of_lists(path: Path, name: str, values: Any) -> NDArray[Any]:
    lengths = values.value_lengths().to_numpy(zero_copy_only=False)
    uneven = lengths != lengths[0]
    if uneven.any():
        row = int(np.flatnonzero(uneven)[0])
        raise DataError(
            f"{path}, row {row}: {name} has {lengths[row]} values, row 0 has {lengths[0]}"
        )
    flat = values.flatten().to_numpy(zero_copy_only=False)
    table: NDArray[Any] = flat.reshape(len(values), int(lengths[0]))
    return table
