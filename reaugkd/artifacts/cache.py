"""Where this user's expensive things are kept: one folder, shared by the library and ``bench``."""

from __future__ import annotations

import os
from pathlib import Path

from reaugkd.errors import UserError
from reaugkd.paths import expanded

VARIABLE = "REAUGKD_CACHE"


def default_cache() -> Path:
    """``$REAUGKD_CACHE``, or ``$XDG_CACHE_HOME/reaugkd``, or ``~/.cache/reaugkd``.

    A UserError tells that there is neither a variable nor a home folder.
    """
    if chosen := os.environ.get(VARIABLE):
        return expanded(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return expanded(base) / "reaugkd"
    try:
        return Path.home() / ".cache" / "reaugkd"
    except RuntimeError as error:
        raise UserError(
            f"this user has no home folder to keep a cache in: set {VARIABLE} (bench: or --cache)"
        ) from error
