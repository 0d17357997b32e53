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
    """The controls of the student of ``method`` and ``seed``."""

    def __init__(self, pipeline: TaskPipeline, method: str, seed: int) -> None:
        self.pipeline, self.method, self.seed = pipeline, method, seed
        outputs = {s: pipeline.outputs(method, seed, s) for s in pipeline.rows.queried}
        self.logits = {split: output.logits for split, output in outputs.items()}
        self.embedding = {split: output.embedding for split, output in outputs.items()}
        self.off = {s: mixing.probabilities(logits) for s, logits in self.logits.items()}
        self.labels = pipeline.rows.labels(CHOSEN_ON)

    def run(self, training_key: str) -> tuple[ControlResult, Arrays]:
        """Both controls, fitted and chosen on held-out rows, and their outputs by split."""
        scaled, arrays = None, {}
        if not self.pipeline.task.regression:
            temperature = calibration.fit_temperature(self.logits[CHOSEN_ON], self.labels)
            outputs = {s: calibration.scaled(z, temperature) for s, z in self.logits.items()}
            answers = self._answers(outputs)
            scaled = TemperatureResult(
                temperature=temperature, fitted_on=CHOSEN_ON, answers=answers
            )
            arrays = {f"temperature.{s}": answer for s, answer in outputs.items()}
        head, head_arrays = self._second_head()
        result = ControlResult(
            training_key=training_key,
            student_init=self.pipeline.student_init(self.method),
            off=self._answers(self.off),
            temperature=scaled,
            temperature_reason=None if scaled else "a regression has no probabilities to scale",
            second_head=head,
        )
        return result, arrays | head_arrays

    def _answers(self, outputs: Arrays) -> Answers:
        rows = self.pipeline.rows
        return Answers(
            scores={s: rows.scores_of(s, answer) for s, answer in outputs.items()},
            loss={s: calibration.loss(answer, rows.labels(s)) for s, answer in outputs.items()},
        )

    def _second_head(self) -> tuple[SecondHeadResult, Arrays]:
        pipeline, grid = self.pipeline, self.pipeline.config.retrieval.beta
        embedding = pipeline.outputs(self.method, self.seed, "fit").embedding
        soft = mixing.probabilities(pipeline.teacher.signals["fit"].logits)
        pipeline.reporter.start("second head", len(second_head.STRENGTHS), "fits")
        heads = {}
        for strength in second_head.STRENGTHS:
            heads[strength] = second_head.fit(embedding, soft, strength)
            pipeline.reporter.advance(1)
        pipeline.reporter.finish()

        def loss(strength: float) -> float:
            answer = heads[strength](self.embedding[CHOSEN_ON])
            return sum(calibration.loss(answer, self.labels).values())

        strength = min(heads, key=loss)
        alone: Arrays = {s: heads[strength](x) for s, x in self.embedding.items()}
        # Its weight is chosen as a knowledge base's is: the head is the only neighbour.
        answer, choices, task = alone[CHOSEN_ON], Grid((1,), grid, (1.0,)), pipeline.task
        nearest, neighbours = np.ones((len(answer), 1)), answer[:, None]
        student, metrics = self.off[CHOSEN_ON], [task.select_on]
        tables = sweep.sweep_scores(
            task, student, nearest, neighbours, self.labels, choices, metrics
        )
        beta = sweep.choose(tables[task.select_on], choices).beta
        mixed = {s: mixing.mix(self.off[s], alone[s], beta) for s in alone}
        result = SecondHeadResult(
            strength=strength,
            strengths=list(heads),
            converged=heads[strength].converged,
            beta=beta,
            betas=list(grid),
            selected_on=CHOSEN_ON,
            alone=self._answers(alone),
            mixed=self._answers(mixed),
        )
        arrays = {f"second_head.{s}": answer for s, answer in alone.items()}
        return result, arrays | {f"mixed.{s}": answer for s, answer in mixed.items()}
