"""An index over other rows, like one that is there.

Not a method of indexes: their definitions identify what was measured with them, and this is no part
of a search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from reaugkd.retrieval.ann.index import AnnIndex


def over(index: AnnIndex, vectors: ArrayLike) -> AnnIndex:
    """A new index with the backend, parameters, effort and threads of ``index``, over ``vectors``.

    Behind ``auto`` the backend stays the chosen one: nothing is measured. Errors as of
    :meth:`AnnIndex.build`.
    """
    from reaugkd.retrieval.ann.auto.backend import Auto

    if isinstance(index, Auto):
        return index.around(over(index.inner, vectors))
    other = type(index)(threads=index.threads, **index.params())
    other.effort = index.effort
    other.build(vectors)
    return other
