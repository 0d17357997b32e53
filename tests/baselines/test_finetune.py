"""Fine-tuning behind the shared case."""

from __future__ import annotations

from tests.baselines.cases import DistillerCase


class TestFineTune(DistillerCase):
    name = "finetune"
