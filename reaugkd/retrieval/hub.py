"""Classifiers on the Hugging Face hub.

``ModelHubMixin`` of huggingface_hub does not fit: its ``save_pretrained`` writes into the folder in
place, where ours replaces a classifier as a whole; it asks for a ``config.json`` at the top, and
what a classifier is made of stands in no configuration. So its client is used directly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from reaugkd.errors import UserError, reason_of
from reaugkd.paths import expanded
from reaugkd.retrieval import card
from reaugkd.retrieval.saved import CARD, PARTS

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_FILES = (*PARTS, *(f"{name}/*" for name in PARTS if "." not in name))
"""Patterns of all that belongs to a classifier, and nothing else is read."""


class HubClassifier:
    """The part of a classifier that publishes it."""

    def save_pretrained(
        self, folder: Path | str, *, license: str | None = None, place: str = card.PLACE
    ) -> None:
        """Write everything below ``folder``."""
        raise NotImplementedError

    def push_to_hub(
        self,
        name: str,
        *,
        license: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        message: str = "Upload a classifier of reaugkd",
    ) -> CommitInfo:
        """Upload the files of :meth:`save_pretrained` to the hub, in one commit, with a model card.

        A classifier that is there is replaced as a whole. A card that somebody has edited there
        stays, and so does every other file. The knowledge base holds embeddings and labels of
        training rows, and their texts if they are kept: say ``private=True`` where these are.

        Args:
            name: ``"user/name"``; the repository is made if there is none.
            license: its identifier, e.g. ``"apache-2.0"``; unknown by default.
            private: of a new repository; what the account's default is, by default public.
            token: of the account; the one that ``hf auth login`` has kept by default.
            revision: a branch, made if there is none; the main one by default.
            message: of the commit.

        Returns:
            The commit; its ``oid`` is a ``revision`` that stays.

        Raises:
            UserError: in one line, if the hub cannot be reached or refuses.
        """
        from huggingface_hub import HfApi

        _require_name(name)
        api = HfApi(token=token)
        with TemporaryDirectory(prefix="reaugkd-") as folder:
            self.save_pretrained(folder, license=license, place=name)
            with _talking(f"cannot write '{name}' to the hub"):
                api.create_repo(name, private=private, exist_ok=True)
                if revision is not None:
                    api.create_branch(name, branch=revision, exist_ok=True)
                there = _card(api, name, revision)
                edited = there is not None and not card.is_ours(there)
                return api.upload_folder(
                    repo_id=name,
                    folder_path=folder,
                    commit_message=message,
                    revision=revision,
                    delete_patterns=list(_FILES),
                    ignore_patterns=[CARD] if edited else None,
                )


def located(
    place: Path | str, *, revision: str | None = None, token: str | bool | None = None
) -> Path:
    """The folder of a classifier: ``place`` itself, or where its files from the hub were put.

    A folder that is there wins over a name on the hub; a Path is always a folder.

    Raises:
        UserError: for a revision of a folder, and in one line where the hub cannot be reached, has
            no such classifier or does not show it.
    """
    folder = expanded(place)
    if isinstance(place, Path) or folder.exists() or not _NAME.fullmatch(place):
        if revision is not None:
            raise UserError(f"{folder} is a folder, which has no revision '{revision}'")
        return folder
    from huggingface_hub import snapshot_download

    with _talking(f"there is no folder {place}, and it cannot be read from the hub"):
        path = snapshot_download(
            place, revision=revision, token=token, allow_patterns=[*_FILES, CARD]
        )
    return Path(path)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UserError(f"a name on the hub is 'user/name', got {name!r}")


def _card(api: HfApi, name: str, revision: str | None) -> str | None:
    """The card that lies on the hub."""
    if not api.file_exists(name, CARD, revision=revision):
        return None
    path = api.hf_hub_download(name, CARD, revision=revision)
    return Path(path).read_text(encoding="utf-8", errors="replace")


@contextmanager
def _talking(what: str) -> Iterator[None]:
    """Turn every failure of the block into a UserError: "``what``: ..."."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        # The hub's client raises its own, httpx's, OSError and ValueError for what is one thing
        # to the user; the cause stays attached.
        raise UserError(f"{what}: {reason_of(error)}") from error
