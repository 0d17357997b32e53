"""The errors a user can cause, each told in one clear line; any other exception is a defect."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user can mend: a name, a path, a setting, a file, a missing library."""


class DataError(UserError):
    """A data file or data set that is missing, malformed or does not fit its task."""


class ModelError(UserError):
    """A model or tokenizer that cannot be loaded or does not fit its task or its partner."""


class EmbeddingError(UserError):
    """Vectors that cannot be compared by cosine: NaN, infinite or of zero norm."""


class WrongMachineError(UserError):
    """Something that this processor cannot run, whatever is installed."""


class MissingLibraryError(UserError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'reaugkd[{extra}]' brings it")
        self.library = library
        self.extra = extra


class UnknownNameError(UserError):
    """A name that is not among the allowed ones; the nearest valid name is suggested.

    >>> str(UnknownNameError("method", "reugkd", ["kd", "reaugkd"]))
    "unknown method 'reugkd': did you mean 'reaugkd'? (known: kd, reaugkd)"
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
        hint = ""
        if near:
            nearest = next(n for n in names if n.lower() == near[0])
            hint = f" did you mean '{nearest}'?"
        super().__init__(f"unknown {what} '{name}':{hint} (known: {', '.join(names)})")
        self.name = name


def reason_of(error: BaseException) -> str:
    r"""What a library says of a failure, in one line.

    >>> reason_of(ValueError("field 'size':\n  expected int, got str\n(and more)"))
    "field 'size': expected int, got str"
    >>> reason_of(KeyError("model_type"))
    "KeyError: 'model_type'"
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    reason = " ".join(lines[: 1 + lines[0].endswith(":")])
    if isinstance(error, OSError | ValueError | RuntimeError):
        return reason
    return f"{type(error).__name__}: {reason}"  # alone it may be no more than a name
