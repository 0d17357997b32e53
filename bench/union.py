"""The plan of a merged run: see :mod:`bench.records.merged`."""

from bench.records.merged import in_short, names

__all__ = ["in_short", "names"]
