"""The command line as it was typed."""

from __future__ import annotations

import shlex
import sys


def command() -> str:
    """For provenance, and for the page that says how it is made again."""
    return shlex.join(["bench", *sys.argv[1:]])
