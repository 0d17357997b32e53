"""A classifier goes to the hub and comes back alike; the hub here is a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from reaugkd.errors import UserError
from reaugkd.retrieval import hub
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from tests.reaugkd.retrieval.test_editable import assert_same_answers, editable


class FolderHub:
    """The calls of huggingface_hub that are used, on folders ``root/<name>/<branch>``."""

    def __init__(self, root: Path) -> None:
        self.root, self.calls = root, list[tuple[str, Any]]()

    def __call__(self, token: object = None) -> FolderHub:
        self.calls.append(("token", token))
        return self

    def folder(self, name: str, revision: str | None) -> Path:
        return self.root / name / (revision or "main")

    def create_repo(self, name: str, *, private: bool | None, exist_ok: bool) -> None:
        self.calls.append(("private", private))
        self.folder(name, None).mkdir(parents=True, exist_ok=exist_ok)

    def create_branch(self, name: str, *, branch: str, exist_ok: bool) -> None:
        self.folder(name, branch).mkdir(exist_ok=exist_ok)

    def file_exists(self, name: str, file: str, *, revision: str | None) -> bool:
        return (self.folder(name, revision) / file).exists()

    def hf_hub_download(self, name: str, file: str, *, revision: str | None) -> str:
        return str(self.folder(name, revision) / file)

    def upload_folder(
        self,
        *,
        repo_id: str,
        folder_path: str,
        commit_message: str,
        revision: str | None,
        delete_patterns: Sequence[str],
        ignore_patterns: Sequence[str] | None,
    ) -> SimpleNamespace:
        target = self.folder(repo_id, revision)
        for path in [p for p in target.rglob("*") if p.is_file()]:
            if any(fnmatch(str(path.relative_to(target)), each) for each in delete_patterns):
                path.unlink()
        ignored = shutil.ignore_patterns(*ignore_patterns or ())
        shutil.copytree(folder_path, target, dirs_exist_ok=True, ignore=ignored)
        return SimpleNamespace(oid=commit_message)

    def snapshot_download(
        self, name: str, *, revision: str | None, token: object, allow_patterns: Sequence[str]
    ) -> str:
        source = self.folder(name, revision)
        if not source.is_dir():
            response = SimpleNamespace(headers={}, request=None)
            raise RepositoryNotFoundError(f"404: {name}\nmore", response=response)  # type: ignore[arg-type]
        copy = self.root / "cache"
        shutil.rmtree(copy, ignore_errors=True)
        for path in [p for p in source.rglob("*") if p.is_file()]:
            below = path.relative_to(source)
            if any(fnmatch(str(below), each) for each in allow_patterns):
                (copy / below).parent.mkdir(parents=True, exist_ok=True)
                (copy / below).symlink_to(path)  # as the hub's own cache does
        return str(copy)


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderHub:
    fake = FolderHub(tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.snapshot_download)
    monkeypatch.chdir(tmp_path)
    return fake


def load(name: str, **more: Any) -> RetrievalAugmentedClassifier:
    return RetrievalAugmentedClassifier.from_pretrained(name, **more)


def test_pushed_and_read_it_answers_alike(remote: FolderHub) -> None:
    model = editable("hnswlib")
    commit = model.push_to_hub("me/mail", license="mit", private=True, token="t", message="first")
    assert commit.oid == "first"
    assert remote.calls == [("token", "t"), ("private", True)]
    assert_same_answers(load("me/mail"), model)
    text = (remote.folder("me/mail", None) / "README.md").read_text()
    assert 'from_pretrained("me/mail")' in text


def test_a_second_push_leaves_nothing_of_the_first_and_all_of_others(remote: FolderHub) -> None:
    model = editable("hnswlib")
    model.push_to_hub("me/mail")
    folder = remote.folder("me/mail", None)
    (folder / "NOTES.md").write_text("mine")
    (folder / "README.md").write_text("my card")
    (folder / "student" / "pytorch_model.bin").write_text("a pickle")
    changed = editable()
    changed.remove([100])
    changed.push_to_hub("me/mail")
    assert not list((folder / "index").iterdir())
    assert not (folder / "student" / "pytorch_model.bin").exists()
    assert (folder / "NOTES.md").read_text() == "mine"
    assert (folder / "README.md").read_text() == "my card"
    assert_same_answers(load("me/mail"), changed)


def test_a_branch_is_another_classifier(remote: FolderHub) -> None:
    first, second = editable(), editable()
    second.remove([100])
    first.push_to_hub("me/mail")
    second.push_to_hub("me/mail", revision="fewer")
    assert_same_answers(load("me/mail"), first)
    assert_same_answers(load("me/mail", revision="fewer"), second)


def test_a_folder_wins_over_a_name(remote: FolderHub) -> None:
    model, other = editable(), editable()
    other.remove([100])
    model.push_to_hub("me/mail")
    other.save_pretrained("me/mail")
    assert_same_answers(load("me/mail"), other)
    with pytest.raises(UserError, match="me/mail is a folder, which has no revision 'v1'"):
        load("me/mail", revision="v1")


def test_a_name_that_the_hub_does_not_know_is_one_line(remote: FolderHub) -> None:
    for name in ("me/none", "../x/y", "alone", "a/b/c"):
        with pytest.raises(UserError) as told:
            load(name)
        assert "\n" not in str(told.value)
        assert name in str(told.value)
    with pytest.raises(UserError, match="there is no folder me/none, and it cannot be read from"):
        load("me/none")
    with pytest.raises(UserError, match=r"classifier\.json"):  # a Path is never a name
        RetrievalAugmentedClassifier.from_pretrained(Path("me/none"))
    for name in ("mail", "me/mail/1", "../mail", "me/"):
        with pytest.raises(UserError, match="a name on the hub is 'user/name', got"):
            editable().push_to_hub(name)


def test_offline_and_not_in_the_cache_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for ask in (lambda: hub.located("me/mail"), lambda: editable().push_to_hub("me/mail")):
        with pytest.raises(UserError, match=r"me/mail.* hub: ") as told:
            ask()
        assert "\n" not in str(told.value)


def test_a_repository_that_was_tampered_with_is_refused(remote: FolderHub) -> None:
    editable().push_to_hub("me/mail")
    path = remote.folder("me/mail", None) / "classifier.json"
    path.write_text(path.read_text().replace('"k": 2', '"k": 1'))
    with pytest.raises(UserError, match=r"classifier\.json is damaged"):
        load("me/mail")
