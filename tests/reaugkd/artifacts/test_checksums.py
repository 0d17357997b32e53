"""Checksums of a folder: each file that is not as it was written is named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reaugkd.artifacts import checksums, sealed
from reaugkd.errors import UserError

NAMES, PAYLOADS = ("a.json", "parts", "gone"), ("parts/large.bin",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text("{}")
    sealed.write(tmp_path / "parts", "large.bin", {}, lambda path: path.write_text("much") and None)
    (tmp_path / "NOTES.md").write_text("mine")
    checksums.write(tmp_path, NAMES, PAYLOADS)
    return tmp_path


def verify(folder: Path) -> None:
    checksums.verify(folder, NAMES, PAYLOADS)


def test_an_untouched_folder_is_whole_whatever_else_lies_there(folder: Path) -> None:
    assert set(json.loads((folder / checksums.FILE).read_text())["files"]) == {
        "a.json",
        "parts/large.bin",
        "parts/large.json",
    }
    (folder / "NOTES.md").write_text("changed")
    (folder / "parts" / ".DS_Store").write_text("of a file manager")
    verify(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "a.json").write_text("[]"), r"a\.json is damaged: its checksum"),
        (lambda f: os.truncate(f / "a.json", 1), r"a\.json is damaged: 1 bytes, not 2"),
        (lambda f: (f / "a.json").unlink(), r"a\.json does not exist"),
        (lambda f: (f / "gone").write_text("more"), r"gone was not saved with the others"),
        (lambda f: (f / "parts" / "more").touch(), r"parts/more was not saved"),
        (lambda f: os.truncate(f / "parts/large.bin", 1), r"large\.bin is damaged: 1 bytes, not 4"),
        (lambda f: (f / "parts/large.json").unlink(), r"large\.json does not exist"),
        (lambda f: (f / checksums.FILE).write_text("[]"), "is no list of checksums"),
    ],
)
def test_what_is_not_as_it_was_is_named(
    folder: Path, change: Callable[[Path], object], message: str
) -> None:
    change(folder)
    with pytest.raises(UserError, match=message):
        verify(folder)


def test_a_payload_and_its_manifest_cannot_both_be_exchanged(folder: Path) -> None:
    sealed.write(folder / "parts", "large.bin", {}, lambda path: path.write_text("lots") and None)
    sealed.read(folder / "parts", "large.bin")
    with pytest.raises(UserError, match=r"large\.(bin|json) is damaged"):
        verify(folder)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "parts/../../x", "parts//x", "other/x"])
def test_no_name_leads_outside(folder: Path, name: str) -> None:
    path = folder / checksums.FILE
    stated = json.loads(path.read_text())
    stated["files"][name] = stated["files"]["a.json"]
    path.write_text(json.dumps(stated))
    with pytest.raises(UserError, match="which is no file of this folder"):
        verify(folder)
