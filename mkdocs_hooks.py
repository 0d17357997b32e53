"""What the documentation site needs beside ``mkdocs.yml``: files from all over the repository.

The site has the tree of the repository, so a relative link between Markdown files, which a code
host follows, is right on the site as it stands. No link is rewritten.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from griffe import Extension
from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from griffe import Object
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

# Below mkdocs' own logger, so that `--strict` counts what is said here.
_log = logging.getLogger("mkdocs.hooks.reaugkd")

_BESIDE_DOCS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "bench/report/published.toml",
    "results/README.md",
    "results/*/*.md",
)
"""What pages link to outside of ``docs/``, as patterns below the root."""

_LOADS = re.compile(
    r"""<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)=["']?(?:https?:)?//"""
)
_CELL = re.compile(r"<td\b.*?</td>", re.S)
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")
_DOCTEST = re.compile(r"^>>> .*(?:\n(?! *$).+)*", re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the files of ``docs/`` their place below the root, and add those beside it."""
    root = Path(config.config_file_path).parent
    pages = [file for file in files if file.src_dir == config.docs_dir]
    paths = [f"{Path(config.docs_dir).name}/{file.src_uri}" for file in pages]
    for pattern in _BESIDE_DOCS:
        paths += sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
    for file in pages:
        files.remove(file)
    for path in paths:
        files.append(File(path, str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> None:
    """Keep tables of results out of the search, where they would bury the manual."""
    if page.file.src_uri.startswith("results/"):
        page.meta["search"] = {"exclude": True}


def on_page_content(html: str, **_: Any) -> str:
    """Read an escaped bar in the code of a table's cell as a code host does."""
    return _CELL.sub(lambda cell: cell.group().replace(r"\|", "|"), html)


def on_post_page(output: str, page: Page, **_: Any) -> None:
    """Warn of a page that loads anything from another place: the site works offline."""
    if load := _LOADS.search(output):
        _log.warning("%s loads from elsewhere: %s", page.file.src_uri, load.group())


class Docstrings(Extension):
    """An extension of griffe that turns what is not Markdown in our docstrings into it."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Fence doctests, and name what a role of reStructuredText names."""
        if obj.docstring is not None:
            text = _ROLE.sub(r"`\1`", obj.docstring.value)
            obj.docstring.value = _DOCTEST.sub(r"```pycon\n\g<0>\n```", text)
