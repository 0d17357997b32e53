"""Where this user's expensive things are kept: one folder, shared by the library and ``bench``."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "REAUGKD_CACHE"


def default_cache() -> Path:
    """``$REAUGKD_CACHE``, or ``$XDG_CACHE_HOME/reaugkd``, or ``~/.cache/reaugkd``."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "reaugkd"
