"""One generic registry: names to things that are imported only when they are used."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Generic, TypeVar, cast

from reaugkd.errors import MissingLibraryError, UnknownNameError, WrongMachineError

T = TypeVar("T")


def normal(name: str) -> str:
    """The form in which names are compared: case, ``-`` and ``_`` do not matter."""
    return name.lower().replace("_", "-")


@dataclass(frozen=True)
class Entry:
    """Where a registered thing lives (``"module:attribute"``) and what it needs.

    ``library`` is the import name of an optional library, ``extra`` what installs it, ``machines``
    the kinds of machine that it is made for, all of them if empty.
    """

    target: str
    summary: str
    library: str | None = None
    extra: str | None = None
    machines: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Whether the optional library can be found (without importing it)."""
        return self.library is None or find_spec(self.library) is not None


class Registry(Generic[T]):
    """Names -> lazily imported objects, with suggestions for names that do not exist.

    >>> shapes = Registry[type]("shape", {"path": Entry("pathlib:Path", "a path")})
    >>> shapes["path"].__name__
    'Path'
    >>> shapes["pth"]
    Traceback (most recent call last):
      ...
    reaugkd.errors.UnknownNameError: unknown shape 'pth': did you mean 'path'? (known: path)
    """

    def __init__(self, what: str, entries: Mapping[str, Entry], group: str | None = None) -> None:
        self.what = what
        self._entries = dict(entries)
        self._group = group
        self._scanned = group is None

    def _all(self) -> dict[str, Entry]:
        if not self._scanned and self._group is not None:
            for point in entry_points(group=self._group):
                # Our own names win: an installed package cannot silently replace a method.
                self._entries.setdefault(
                    point.name, Entry(point.value, f"from {point.dist.name if point.dist else '?'}")
                )
            self._scanned = True
        return self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def entry(self, name: str) -> Entry:
        """The entry of ``name`` (``-`` and ``_`` are the same, case does not matter)."""
        return self._all()[self.resolve(name)]

    def resolve(self, name: str) -> str:
        """The canonical spelling of ``name``, or UnknownNameError with the nearest valid one."""
        for spelling in self._all():
            if normal(spelling) == normal(name):
                return spelling
        raise UnknownNameError(self.what, name, self._all())

    def require(self, name: str) -> None:
        """Raise MissingLibraryError or WrongMachineError unless ``name`` can run here."""
        entry = self.entry(name)
        if entry.machines and platform.machine() not in entry.machines:
            wanted = " or ".join(entry.machines)
            raise WrongMachineError(
                f"{name} runs on {wanted} only, this machine is {platform.machine()}"
            )
        if not entry.installed:
            raise MissingLibraryError(entry.library or name, entry.extra or name)

    def __getitem__(self, name: str) -> T:
        """Import and return the object registered under ``name``."""
        self.require(name)
        module, _, attribute = self.entry(name).target.partition(":")
        return cast(T, getattr(import_module(module), attribute))
