"""A gate's outcome as JUnit XML: one test case per cell, red wherever the gate does not pass."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from bench.measure.gate import Judged, Outcome

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


def render(outcome: Outcome, time: str) -> bytes:
    """The document, UTF-8.

    A cell that fails is a ``failure``, as is an undecided one; if those are let pass it is
    ``skipped``, as it proves nothing. All else that is not ``holds`` is an ``error``, a skipped
    cell too: many readers of JUnit take ``skipped`` for green, and the gate does not pass then.
    Files that were passed over and an empty set are test cases with an error.

    Args:
        outcome: what the gate says.
        time: ISO 8601, of the suite.
    """
    suite = ET.Element("testsuite", name="bench gate", timestamp=time.removesuffix("+00:00"))

    def case(group: str, title: str, seconds: float, tag: str, kind: str, message: str) -> None:
        added = ET.SubElement(suite, "testcase", classname=_clean(f"bench.gate.{group}"))
        added.attrib.update(name=_clean(title), time=f"{seconds:.3f}")
        if tag:
            ET.SubElement(added, tag, type=kind, message=_clean(message))

    for cell in outcome.cells:
        reason = cell.reason or cell.verdict
        case(cell.cell.base, _name(cell), cell.seconds, _tag(cell, outcome), cell.verdict, reason)
    for file in outcome.unusable:
        case("files", str(file.path), 0.0, "error", "unusable", file.reason)
    if not outcome.cells and not outcome.unusable:
        case("cells", "at least one", 0.0, "error", "nothing measured", "no cells")
    suite.set("tests", str(len(suite)))
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(cell.seconds for cell in outcome.cells):.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _name(cell: Judged) -> str:
    """The same from run to run, and different for different cells."""
    what = cell.cell
    return (
        f"{what.label} threads {what.threads} {what.lengths} {what.student} "
        f"tau {what.tau:g} beta {what.beta:g}"
    )


def _tag(cell: Judged, outcome: Outcome) -> str:
    if cell.verdict == "holds":
        return ""
    if cell.verdict == "undecided" and outcome.on_undecided == "pass":
        return "skipped"
    return "failure" if cell.verdict in ("fails", "undecided") else "error"


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
