"""A report that was made once is not made again while nothing it is made from has changed.

    <out>/.report/<stamp>.json     what was printed, and the checksums of the files written

The stamp names everything that decides a report: the files it reads, the options, this project's
own source and the libraries that draw. A kept file that is damaged, or a written file that was
changed or deleted, means that the report is made again; nobody has to delete anything by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

import bench
import reaugkd
from bench.records.store import RUN, StoreError
from reaugkd import __version__
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.atomic import write_bytes
from reaugkd.artifacts.store import checksum

FOLDER = ".report"
NEWEST = 8
"""Kept reports per folder: one per set of options, for a few of them."""

SOURCES = (".py", ".toml", ".j2", ".css", ".js")
"""Endings of the code and the templates."""

FILES = (RUN, "latency.json", "memory.json", "history.jsonl")
FOLDERS = ("cells", "measurements")
"""What a report reads of a folder. Its own files may lie beside them and are not looked at."""


class Kept(BaseModel):
    """What was printed, and each file written with its checksum, from the report's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    printed: str
    files: dict[str, str]


def stamp(folders: Iterable[Path], options: Mapping[str, Any]) -> str:
    """A short name for everything that decides a report: equal only if it need not be made again.

    Take it before the files are read: what changes while the report is made then has another
    stamp. Costs one look at each file's size and time, none at its content.

    Args:
        folders: of runs and measurements.
        options: plain JSON, all that the caller's flags decide, with the kind of its output.
    """
    inputs = [[str(folder.resolve()), sorted(_inputs(folder))] for folder in folders]
    return fingerprint.of_json([_source(), dict(options), inputs])


def _inputs(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    """Name, bytes, time and inode: a file that is replaced within a tick has another inode."""
    paths = [folder / name for name in FILES]
    for name in FOLDERS:
        if (folder / name).is_dir():
            paths += (folder / name).iterdir()
    for path in paths:
        if path.name.startswith("."):
            continue  # half-written; it counts once it has its name
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        yield f"{path.parent.name}/{path.name}", facts.st_size, facts.st_mtime_ns, facts.st_ino


@cache
def _source() -> str:
    """Fingerprint of the code and the templates that make reports, and of what they stand on."""
    roots = [Path(str(package.__file__)).parent for package in (bench, reaugkd)]
    files = {
        str(path.relative_to(root.parent)): checksum(path)
        for root in roots
        for path in sorted(root.rglob("*"))
        if path.suffix in SOURCES and path.is_file()
    }
    return fingerprint.of_json([__version__, files, _libraries()])


def _libraries() -> list[str]:
    """What is installed, with its version."""
    return sorted(f"{package.metadata['Name']} {package.version}" for package in distributions())


def find(folder: Path, stamp: str) -> Kept | None:
    """The report of ``stamp`` whose files lie in ``folder``, or None if it has to be made."""
    try:
        kept = Kept.model_validate_json((folder / FOLDER / f"{stamp}.json").read_bytes())
        unchanged = all(checksum(folder / name) == written for name, written in kept.files.items())
    except (OSError, ValidationError):
        return None  # not there, damaged, or a file was deleted: all mended by making it
    return kept if unchanged else None


def keep(folder: Path, stamp: str, printed: str, files: Mapping[Path, str]) -> None:
    """Keep what is printed, and the checksums of the ``files`` that were written.

    Raises:
        StoreError: if the folder cannot be written.
    """
    names = {str(path.relative_to(folder)): written for path, written in files.items()}
    cache = folder / FOLDER
    try:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / ".gitignore").write_text("*\n", encoding="utf-8")  # a cache, not a result
        content = Kept(printed=printed, files=names).model_dump_json()
        write_bytes(cache / f"{stamp}.json", content.encode("utf-8"))
        by_age = sorted(cache.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in by_age[:-NEWEST]:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write to {cache}: {error.strerror}") from error
