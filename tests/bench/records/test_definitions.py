"""The fingerprint of code: what is timed, not where it stands or how it is worded."""

from __future__ import annotations

import pytest

from bench.measure.plan import CODE
from bench.records import definitions

ONE = '''
"""A module."""
from __future__ import annotations
import math
from bench.measure import inputs

LIMIT: int = 3
"""A constant."""

def area(radius: float, *, scale: float = 1.0) -> float:
    """Words."""
    from reaugkd.retrieval import mixing
    return math.pi * radius**2 * inputs.dealt(scale) + mixing.weight(LIMIT)

class Circle:
    """More words."""
    radius: float
'''

SAME = {
    "order": [
        "class Circle:\n    radius: float",
        "def area(radius, *, scale=1.0):\n"
        "    return math.pi * radius**2 * dealt(scale) + weight(LIMIT)  # why",
        "LIMIT: int = 3",
    ],
    "module": [
        ONE.replace("measure import inputs", "other import cards").replace("inputs.", "cards.")
    ],
    "guard": [ONE, "if __name__ == '__main__':\n    main()"],
}

CHANGED = [
    ("LIMIT: int = 3", "LIMIT: int = 4"),
    ("scale: float = 1.0", "scale: float = 2.0"),
    ("radius**2", "radius**3"),
    ("inputs.dealt", "inputs.drawn"),
    ("math.pi", "math.e"),
    ("def area", "def surface"),
    ("    radius: float\n", "    radius: int\n"),
]


@pytest.mark.parametrize("files", SAME.values(), ids=SAME)
def test_moving_splitting_joining_and_wording_keep_it(files: list[str]) -> None:
    assert definitions.of_sources(files) == definitions.of_sources([ONE])


@pytest.mark.parametrize(("before", "after"), CHANGED, ids=[before for before, _ in CHANGED])
def test_a_changed_definition_changes_it(before: str, after: str) -> None:
    assert before in ONE
    changed = ONE.replace(before, after)
    assert definitions.of_sources([changed]) != definitions.of_sources([ONE])


def test_every_listed_file_counts_and_a_missing_one_is_told() -> None:
    whole = definitions.of_files(*CODE)
    assert len({whole, *(definitions.of_files(*{*CODE} - {one}) for one in CODE)}) == len(CODE) + 1
    with pytest.raises(FileNotFoundError, match=r"no source file .*query_path\.py"):
        definitions.of_files("reaugkd/retrieval/query_path.py")
