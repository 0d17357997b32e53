"""The layout of a picture for plotly.js: its grid of panels, its legend, and a theme's template."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench.report.palette import Theme

Json = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MARGIN = {"l": 64, "r": 16, "t": 40, "b": 56}
ROW = 360
"""Height of a row of panels, in pixels."""

LEGEND_LINE = 24
"""Height of a line of the legend, in pixels."""


def grid(panels: int, columns: int, lines: int, across: int) -> Json:
    """Rows and columns of panels, and the height they need with a legend below."""
    columns = min(columns, panels) if panels != 4 else min(columns, 2)
    rows = math.ceil(panels / columns)
    legend = LEGEND_LINE * math.ceil(lines / across)
    return {
        "grid": {
            "rows": rows,
            "columns": columns,
            "pattern": "independent",
            "xgap": 0.2,
            "ygap": 0.3,
        },
        "height": MARGIN["t"] + rows * ROW + legend,
    }


def shared(*, shown: bool) -> Json:
    """What all pictures have; ``shown``: whether with a legend."""
    return {
        "autosize": True,
        "margin": dict(MARGIN),
        "showlegend": shown,
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "groupclick": "togglegroup",
            "yref": "container",
            "x": 0,
            "y": 0,
            "yanchor": "bottom",
        },
        "hoverlabel": {"namelength": -1},
    }


def template(theme: Theme, colours: Sequence[str]) -> Json:
    """Everything that a theme changes; ``colours`` has one for each trace."""
    axis = {
        "color": theme.muted,
        "gridcolor": theme.grid,
        "linecolor": theme.muted,
        "showline": True,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": theme.muted,
        "zeroline": False,
        "automargin": True,
        "tickfont": {"size": 12},
        "title": {"font": {"size": 13, "color": theme.ink}},
        "exponentformat": "power",
    }
    return {
        "layout": {
            "colorway": list(colours),
            "font": {"family": FONT, "size": 13, "color": theme.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": {**axis, "showgrid": False},
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": theme.background,
                "bordercolor": theme.muted,
                "font": {"color": theme.ink},
            },
            "modebar": {
                "bgcolor": "rgba(0,0,0,0)",
                "color": theme.muted,
                "activecolor": theme.ink,
            },
            "shapedefaults": {"line": {"color": theme.ink}},
            "annotationdefaults": {"font": {"color": theme.ink}},
        }
    }
