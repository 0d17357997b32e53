"""Laws of picture files: the same bytes twice, names as they are, nothing left behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.records.store import StoreError
from bench.report import drawing
from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.palette import DARK, LIGHT, style
from reaugkd.errors import UnknownNameError
from tests.bench.report import pictures

SVG = "{http://www.w3.org/2000/svg}"


def texts(path: Path) -> list[str]:
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    return ["".join(one.itertext()).strip() for one in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("ending", drawing.FORMATS)
def test_two_calls_give_equal_bytes(ending: str, tmp_path: Path) -> None:
    one, other = tmp_path / f"one.{ending}", tmp_path / f"other.{ending}"
    assert drawing.write(pictures.plain(), one) == one
    drawing.write(pictures.plain(), other)
    assert one.read_bytes() == other.read_bytes()


def test_every_word_stands_in_the_svg_as_text(tmp_path: Path) -> None:
    figure = pictures.plain()
    found = texts(drawing.write(figure, tmp_path / "a.svg"))
    for word in ("left", "right", "size", "overhead, %", "limit 3 %", "kd", "reaugkd", "front"):
        assert word in found
    assert {"off", "on", "1", "10"} <= set(found)


def test_hostile_names_stay_as_they_are(tmp_path: Path) -> None:
    found = texts(drawing.write(pictures.odd(), tmp_path / "a.svg"))
    name = " ".join(pictures.HOSTILE.split())
    # title and labels of three panels, the legend, a category; a rule at 0 has no place
    assert found.count(name) == 7
    assert "in" in found
    assert "nan" not in found


def test_the_title_and_the_finding_travel_with_the_file(tmp_path: Path) -> None:
    figure = pictures.plain()
    for ending in ("svg", "png"):
        data = drawing.write(figure, tmp_path / f"a.{ending}").read_bytes()
        assert figure.title.encode() in data
        assert figure.alt.encode() in data


def test_a_theme_has_its_own_paper_and_colours(tmp_path: Path) -> None:
    figure = pictures.plain()
    light = drawing.write(figure, tmp_path / "light.svg").read_text()
    dark = drawing.write(figure, tmp_path / "dark.svg", dark=True).read_text()
    for text, theme, colour in ((light, LIGHT, style(0).light), (dark, DARK, style(0).dark)):
        assert theme.background in text
        assert colour in text
    assert style(0).dark not in light
    assert style(0).light not in dark


def test_every_value_is_drawn_where_it_is(tmp_path: Path) -> None:
    drawn = drawing.draw(pictures.plain())
    left, right = drawn.axes
    lines = [
        line for line in left.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 2
    ]
    np.testing.assert_array_equal(lines[0].get_xdata(), [1, 10, 100])
    np.testing.assert_array_equal(lines[0].get_ydata(), [1, 2, np.nan])
    (points,) = [line for line in right.lines if line.get_marker() == style(1).marker[0]]
    np.testing.assert_array_equal(points.get_ydata(), [70, 71, 72])
    assert [bar.get_height() for bar in right.patches] == [69, 68]
    # intervals: ends of the two known values of the left panel
    ends = [tuple(segment[:, 1]) for bar in left.collections for segment in bar.get_segments()]
    assert ends == [(0.5, 2.0), (1.5, 4.0)]


def test_emphasis_lies_above_everything() -> None:
    left = drawing.draw(pictures.plain()).axes[0]
    above = max(left.lines, key=lambda line: line.get_zorder())
    assert above.get_color() == LIGHT.ink
    assert above.get_markerfacecolor() == "none"


def test_many_series_and_panels_have_one_legend_that_fits() -> None:
    drawn = drawing.draw(pictures.many(20, 7))
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"series {n}" for n in range(20)]
    drawn.draw_without_rendering()
    box, page = legend.get_window_extent(), drawn.bbox
    assert box.x0 >= page.x0 - 1
    assert box.x1 <= page.x1 + 1


def test_a_label_with_an_underscore_keeps_its_line_in_the_legend() -> None:
    series = tuple(Series(name, (1, 2), (1, 2)) for name in ("_one", "two"))
    figure = Figure("f", "f", "", (Panel("", Axis("x"), Axis("y"), series),))
    (legend,) = drawing.draw(figure).legends
    assert [text.get_text() for text in legend.get_texts()] == ["_one", "two"]


def test_settings_of_the_process_are_left_alone(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    drawing.write(pictures.plain(), tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before


def test_no_window_is_asked_for(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from bench.report import drawing; from tests.bench.report import "
        "pictures; drawing.write(pictures.plain(), pathlib.Path(sys.argv[1]));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True, cwd=root)


def test_an_unknown_ending_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'svg'"):
        drawing.write(pictures.plain(), tmp_path / "a.svgz")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        drawing.write(pictures.plain(), tmp_path / "none" / "a.svg")


@pytest.mark.parametrize("ending", drawing.FORMATS)
def test_a_full_disk_leaves_the_old_picture(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drawing.write(pictures.plain(), tmp_path / f"a.{ending}")
    before = path.read_bytes()
    assert before == drawing.drawn_as(pictures.plain(), ending)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        drawing.write(pictures.many(3, 2), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
