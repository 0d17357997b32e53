"""A gate's outcome as JUnit XML: one test case per cell, red wherever the gate does not pass."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from bench.measure.gate import Judged, Outcome

SUITE = "bench gate"

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""

Mark = tuple[str, str]
"""An element below a test case: its tag and its type."""


def render(outcome: Outcome, time: str) -> bytes:
    """The document, UTF-8.

    A cell that fails is a ``failure``, as is an undecided one; if those are let pass it is
    ``skipped``, as it proves nothing. All else that is not ``holds`` is an ``error``. A skipped
    cell is an error too: many readers of JUnit take ``skipped`` for green, and the gate does not
    pass then. Files that were passed over and an empty set are test cases with an error.

    Args:
        outcome: what the gate says.
        time: ISO 8601, of the suite.
    """
    suite = ET.Element("testsuite", name=SUITE, timestamp=_clean(time.removesuffix("+00:00")))
    for cell in outcome.cells:
        case = _case(suite, cell.cell.base, name(cell), cell.seconds)
        mark = _mark(cell, outcome)
        if mark is not None:
            _add(case, mark, cell.reason or cell.verdict)
    for file in outcome.unusable:
        _add(_case(suite, "files", str(file.path)), ("error", "unusable"), file.reason)
    if not outcome.cells and not outcome.unusable:
        _add(_case(suite, "cells", "at least one"), ("error", "nothing measured"), "no cells")
    suite.set("tests", str(len(suite)))
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(cell.seconds for cell in outcome.cells):.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def name(cell: Judged) -> str:
    """The test case of a cell: the same from run to run, and different for different cells."""
    what = cell.cell
    return (
        f"{what.label} threads {what.threads} {what.lengths} {what.student} "
        f"tau {what.tau:g} beta {what.beta:g}"
    )


def _mark(cell: Judged, outcome: Outcome) -> Mark | None:
    if cell.verdict == "holds":
        return None
    if cell.verdict == "undecided" and outcome.on_undecided == "pass":
        return "skipped", "undecided"
    tag = "failure" if cell.verdict in ("fails", "undecided") else "error"
    return tag, cell.verdict


def _case(suite: ET.Element, group: str, title: str, seconds: float = 0.0) -> ET.Element:
    return ET.SubElement(
        suite,
        "testcase",
        classname=_clean(f"bench.gate.{group}"),
        name=_clean(title),
        time=f"{seconds:.3f}",
    )


def _add(case: ET.Element, mark: Mark, message: str) -> None:
    tag, kind = mark
    ET.SubElement(case, tag, type=kind, message=_clean(message))


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
