"""What decides the fingerprint of an array, and what does not."""

from __future__ import annotations

import numpy as np

from reaugkd.artifacts.fingerprint import of_array


def test_type_shape_and_values_of_an_array_decide_and_its_layout_does_not() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    same = (
        array.copy(),
        np.asfortranarray(array),
        np.arange(12, dtype=np.float32)[:6].reshape(2, 3),
    )
    assert {of_array(one) for one in same} == {of_array(array)}
    changed = array.copy()
    changed[1, 2] = np.nextafter(changed[1, 2], 9)
    others = (array.reshape(3, 2), array.astype(np.int32), array.T, changed)
    assert len({of_array(one) for one in (array, *others)}) == 5
