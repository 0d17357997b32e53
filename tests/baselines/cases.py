"""What every distillation method must do; one subclass per registered method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from baselines import METHODS
from reaugkd.context import Context
from reaugkd.distiller import CACHED, Conditions, Distiller, LossTerms
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import TrainingSummary, distil
from tests import tiny
from tests.baselines.readers import RECIPES, two_tokenizers

Whole = tuple[Any, TrainingSummary]
"""A trained student and the result of its training."""


class Stopped(Exception):
    """Stands for a kill between two batches."""


class DistillerCase:
    """The laws of the interface.

    Attributes:
        name: registered name of the method.
        settings: for the tests; the defaults must work too.
        context: keyword arguments of ``tiny.context``, e.g. for a teacher as wide as the student.
    """

    name: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    context: ClassVar[dict[str, Any]] = {}

    def method(self, **settings: Any) -> Distiller:
        kind = METHODS[self.name]
        return kind(kind.Settings.model_validate({**self.settings, **settings}))

    def given(self, folder: Path, **changes: Any) -> Context:
        return tiny.context(folder, **{**self.context, **changes})

    def train(
        self,
        folder: Path,
        context: Context | None = None,
        method: Distiller | None = None,
        every: float = 60.0,
    ) -> Whole:
        """A student of seed 2 and its result; checkpoint and artefacts below ``folder``."""
        context = context or self.given(folder)
        student = context.models.student(2)
        result = distil(
            method or self.method(),
            context,
            student,
            checkpoint=Checkpoint(folder / "checkpoint", every=every),
            stage=self.name,
        )
        return student, result

    @pytest.fixture(scope="class")
    @classmethod
    def whole(cls, tmp_path_factory: pytest.TempPathFactory) -> Whole:
        """Student and result of a run left alone, once for the class; only to be read."""
        return cls().train(tmp_path_factory.mktemp("whole"))

    def conditions(self, context: Context) -> Conditions:
        return Conditions(
            context.task,
            context.models.student_shape,
            context.models.teacher_shape,
            context.recipe.batch_size,
            context.recipe.accumulation,
            context.recipe.epochs,
            rows=len(context.labels),
        )

    def trains_or_refuses(self, folder: Path, context: Context) -> None:
        """Refuse with a reason, or leave a student that has learned something finite."""
        reason = self.method().unsupported(self.conditions(context))
        if reason is not None:
            assert len(reason) > 15
            return
        student, result = self.train(folder, context)
        before = context.models.student(2)
        assert not tiny.same_weights(student, before)
        assert all(torch.isfinite(p).all() for p in student.parameters())
        assert all(value == value for row in result.history for value in row.values())

    def test_supports_the_plain_case_and_the_defaults_are_valid(self, tmp_path: Path) -> None:
        assert self.method().unsupported(self.conditions(self.given(tmp_path))) is None
        assert METHODS[self.name]().name == self.name

    def test_same_seed_same_student(self, whole: Whole, tmp_path: Path) -> None:
        first, result = whole
        torch.manual_seed(1234)
        second, again = self.train(tmp_path / "b")
        assert tiny.same_weights(first, second)
        assert result.history == again.history
        other, _ = self.train(tmp_path / "c", self.given(tmp_path / "c", seed=5))
        assert not tiny.same_weights(first, other)

    def resumed(self, stop_at: int, folder: Path, given: Callable[[Path], Context]) -> Whole:
        """Student and result of a run that was killed before a batch and then went on."""
        method, seen = self.method(), 0
        step = method.step

        def counted(*arguments: Any) -> LossTerms:
            nonlocal seen
            seen += 1
            if seen == stop_at:
                raise Stopped
            return step(*arguments)

        method.step = counted  # type: ignore[method-assign]
        with pytest.raises(Stopped):
            self.train(folder, given(folder), method, every=0.0)
        torch.manual_seed(99)  # a new process has another generator state
        return self.train(folder, given(folder))

    @pytest.mark.parametrize("stop_at", [2, 5, 9])
    def test_killed_and_resumed_equals_uninterrupted(
        self, stop_at: int, whole: Whole, tmp_path: Path
    ) -> None:
        uninterrupted, expected = whole
        resumed, result = self.resumed(stop_at, tmp_path, self.given)
        assert tiny.same_weights(uninterrupted, resumed)
        unmeasured = {"seconds": 0.0, "peak_bytes": None}
        assert result._replace(**unmeasured) == expected._replace(**unmeasured)

    def test_each_model_reads_its_own_ids_also_after_a_kill(self, tmp_path: Path) -> None:
        """Another numbering of the teacher's vocabulary changes nothing, bit for bit."""

        def given(folder: Path) -> Context:
            return two_tokenizers(self.given(folder, **RECIPES), folder)

        alike, _ = self.train(tmp_path / "alike", self.given(tmp_path / "alike", **RECIPES))
        apart, _ = self.resumed(5, tmp_path / "apart", given)
        assert tiny.same_weights(alike, apart)

    def test_cached_teacher_is_never_run(self, tmp_path: Path) -> None:
        needs = METHODS[self.name].needs
        if not needs <= CACHED:
            return
        context = self.given(tmp_path)
        models = context.models

        def refuse() -> Any:
            raise AssertionError("the teacher was run although its signals are cached")

        object.__setattr__(models, "teacher", refuse)
        object.__setattr__(models, "untrained", refuse)
        before = None if context.signals is None else context.signals.logits.tobytes()
        self.train(tmp_path, context)
        assert context.signals is None or context.signals.logits.tobytes() == before

    def test_stages_are_made_once(self, tmp_path: Path) -> None:
        first = self.given(tmp_path)
        self.method().prepare(first)
        made = {path.parent.name for path in tmp_path.rglob("manifest.json")}
        second = self.given(tmp_path)
        self.method().prepare(second)
        assert {path.parent.name for path in tmp_path.rglob("manifest.json")} == made
        assert first.stages == second.stages

    def test_two_instances_do_not_see_each_other(self, whole: Whole, tmp_path: Path) -> None:
        alone, _ = whole
        other = self.method()
        other.prepare(self.given(tmp_path / "other", seed=7))
        beside, _ = self.train(tmp_path / "b")
        assert tiny.same_weights(alone, beside)

    @pytest.mark.parametrize(
        "update",
        [
            {"batch_size": 47},  # leaves a last batch of one
            {"batch_size": 1, "epochs": 1},
            {"accumulation": 3},
            {"precision": "bf16"},
        ],
        ids=str,
    )
    def test_every_recipe_trains_or_is_refused(self, update: Any, tmp_path: Path) -> None:
        recipe = tiny.RECIPE.model_copy(update=update)
        self.trains_or_refuses(tmp_path, self.given(tmp_path, recipe=recipe, teacher_recipe=recipe))

    def test_regression_trains_or_is_refused(self, tmp_path: Path) -> None:
        self.trains_or_refuses(tmp_path, self.given(tmp_path, regression=True))

    def test_a_student_of_another_width_and_depth_too(self, tmp_path: Path) -> None:
        self.trains_or_refuses(tmp_path, tiny.context(tmp_path))

    def test_work_is_counted(self, whole: Whole, tmp_path: Path) -> None:
        context, (_, result) = self.given(tmp_path), whole
        rows = self.method().rows(context)
        seen = context.recipe.epochs * (48 if rows is None else len(rows))
        assert result.examples == seen
        assert result.work["student"]["backwards"] >= seen
        assert result.work["student"]["forwards"] >= seen
        assert (set(result.work) == {"student"}) or not METHODS[self.name].needs <= CACHED
