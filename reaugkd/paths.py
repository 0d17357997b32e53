"""Paths as users write them: no shell expands ``~`` after ``=``, in quotes or in a file."""

from __future__ import annotations

import os
from pathlib import Path

from reaugkd.errors import UserError


def expanded(path: str | os.PathLike[str]) -> Path:
    """``path`` with the home folder in place of a leading ``~`` or ``~name``.

    >>> expanded("/data/glue")
    PosixPath('/data/glue')

    Raises:
        UserError: if there is no such user, or this one has no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        whose = Path(path).parts[0]
        raise UserError(
            f"{path}: there is no home folder {whose}: write the path in full"
        ) from error
