from __future__ import annotations

from pathlib import Path

import pytest

from reaugkd.artifacts.cache import default_cache
from reaugkd.errors import UserError
from reaugkd.paths import expanded


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without ``HOME`` and without an entry in passwd, as a container's ``--user``."""

    def nobody(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    for name in ("REAUGKD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_home_is_put_in_place_of_the_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
    assert expanded(Path("~")) == Path("/home/me")
    assert expanded("a/~/b") == Path("a/~/b")


def test_the_home_of_nobody_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^~nosuch-user/x: there is no home folder ~nosuch-user:"):
        expanded("~nosuch-user/x")


@pytest.mark.parametrize("name", ["REAUGKD_CACHE", "XDG_CACHE_HOME"])
def test_variables_of_the_cache_may_begin_with_a_tilde(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("REAUGKD_CACHE", raising=False)
    monkeypatch.setenv(name, "~/kept")
    assert default_cache().is_relative_to("/home/me/kept")


def test_without_a_home_the_line_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    no_home(monkeypatch)
    with pytest.raises(UserError, match="no home folder to keep a cache in: set REAUGKD_CACHE"):
        default_cache()
