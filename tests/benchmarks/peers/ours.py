"""reaugkd: the teacher's answers are kept once, batches hold rows of like length."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from baselines.kd import KD
from reaugkd.models.recipe import Precision
from reaugkd.reporter import Silent
from reaugkd.signals import TeacherSignals
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.inference import write_signals
from reaugkd.training.loop import TrainingOptions, train
from tests.benchmarks.peers.clock import Epoch, clock
from tests.benchmarks.peers.setting import OBJECTIVE, Setting


def epoch(setting: Setting, folder: Path, precision: Precision = "fp32") -> Epoch:
    """One epoch of :func:`reaugkd.training.loop.train`."""
    folder.mkdir(parents=True, exist_ok=True)
    student = setting.student()
    began = perf_counter()
    write_signals(setting.teacher, setting.encoded, folder, precision, Silent(), splits=["fit"])
    preparing = perf_counter() - began
    # What it scores after the epoch is not what is compared.
    options = TrainingOptions(
        source=TeacherSignals.open(folder, "fit"),
        evaluate=lambda _: dict.fromkeys(setting.task.metrics, 0.0),
    )
    checkpoint = Checkpoint(folder / "run")
    with clock() as counted:
        train(student, KD(OBJECTIVE), setting.setup(precision), options, checkpoint=checkpoint)
    return Epoch(student, counted.seconds, counted.steps, preparing)
