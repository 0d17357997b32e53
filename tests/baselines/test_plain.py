"""Fine-tuning, KD and ReAugKD behind the shared case."""

from __future__ import annotations

from tests.baselines.cases import DistillerCase


class TestFineTune(DistillerCase):
    name = "finetune"


class TestKD(DistillerCase):
    name = "kd"


class TestReAugKD(DistillerCase):
    name = "reaugkd"
