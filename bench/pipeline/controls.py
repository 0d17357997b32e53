"""What could do as well as a knowledge base without being one, for one student.

A gain that softer probabilities or a second predictor bring too is not a gain of retrieval.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.student import TaskPipeline
from bench.records.run import Answers, ControlResult, SecondHeadResult, TemperatureResult
from reaugkd.retrieval import calibration, mixing, second_head, sweep
from reaugkd.retrieval.sweep import Grid

CHOSEN_ON = "held_out"
Arrays = dict[str, NDArray[Any]]


class Controls:
    """The controls of one student.

    Args:
        pipeline: of its task.
        method, seed: of the student.
    """

    def __init__(self, pipeline: TaskPipeline, method: str, seed: int) -> None:
        self.pipeline, self.method, self.seed = pipeline, method, seed
        queried = pipeline.rows.queried
        outputs = {split: pipeline.outputs(method, seed, split) for split in queried}
        self.logits = {split: found.logits for split, found in outputs.items()}
        self.embedding = {split: found.embedding for split, found in outputs.items()}
        self.own = {s: mixing.probabilities(logits) for s, logits in self.logits.items()}

    def run(self, training_key: str) -> tuple[ControlResult, Arrays]:
        """Both controls, fitted and chosen on held-out rows, and their outputs by split."""
        scaled, scaled_arrays = self._temperature()
        head, head_arrays = self._second_head()
        result = ControlResult(
            training_key=training_key,
            student_init=self.pipeline.student_init,
            off=self._answers(self.own),
            temperature=scaled,
            temperature_reason=None if scaled else "a regression has no probabilities to scale",
            second_head=head,
        )
        return result, scaled_arrays | head_arrays

    def _answers(self, outputs: Arrays) -> Answers:
        rows = self.pipeline.rows
        return Answers(
            scores={s: rows.scores(s, answer) for s, answer in outputs.items()},
            loss={s: calibration.loss(answer, rows.labels(s)) for s, answer in outputs.items()},
        )

    def _temperature(self) -> tuple[TemperatureResult | None, Arrays]:
        if self.pipeline.task.regression:
            return None, {}
        labels = self.pipeline.rows.labels(CHOSEN_ON)
        temperature = calibration.fit_temperature(self.logits[CHOSEN_ON], labels)
        outputs = {s: calibration.scaled(z, temperature) for s, z in self.logits.items()}
        result = TemperatureResult(
            temperature=temperature, fitted_on=CHOSEN_ON, answers=self._answers(outputs)
        )
        return result, {f"temperature.{s}": answer for s, answer in outputs.items()}

    def _second_head(self) -> tuple[SecondHeadResult, Arrays]:
        pipeline = self.pipeline
        known = pipeline.outputs(self.method, self.seed, "fit").embedding
        taught = mixing.probabilities(pipeline.teacher.signals["fit"].logits)
        pipeline.reporter.start("second head", len(second_head.STRENGTHS), "fits")
        heads = {}
        for strength in second_head.STRENGTHS:
            heads[strength] = second_head.fit(known, taught, strength)
            pipeline.reporter.advance(1)
        pipeline.reporter.finish()
        labels = pipeline.rows.labels(CHOSEN_ON)

        def loss(strength: float) -> float:
            answer = heads[strength](self.embedding[CHOSEN_ON])
            return sum(calibration.loss(answer, labels).values())

        strength = min(heads, key=loss)
        alone: Arrays = {s: heads[strength](x) for s, x in self.embedding.items()}
        beta = self._beta(alone[CHOSEN_ON])
        mixed = {s: mixing.mix(self.own[s], alone[s], beta) for s in alone}
        result = SecondHeadResult(
            strength=strength,
            strengths=list(heads),
            converged=heads[strength].converged,
            beta=beta,
            betas=list(pipeline.config.retrieval.beta),
            selected_on=CHOSEN_ON,
            alone=self._answers(alone),
            mixed=self._answers(mixed),
        )
        arrays = {f"second_head.{s}": answer for s, answer in alone.items()}
        return result, arrays | {f"mixed.{s}": answer for s, answer in mixed.items()}

    def _beta(self, head: NDArray[np.float64]) -> float:
        """The weight of the head, as a knowledge base's is chosen: it is the only neighbour."""
        task, labels = self.pipeline.task, self.pipeline.rows.labels(CHOSEN_ON)
        grid = Grid((1,), self.pipeline.config.retrieval.beta, (1.0,))
        nearest = np.ones((len(head), 1))
        tables = sweep.sweep_scores(
            task, self.own[CHOSEN_ON], nearest, head[:, None], labels, grid, [task.select_on]
        )
        return sweep.choose(tables[task.select_on], grid).beta
