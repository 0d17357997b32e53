"""The tools whose training is compared, by their names in the table."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.measure import environment
from tests.benchmarks.peers.clock import Epoch
from tests.benchmarks.peers.setting import Setting


@dataclass(frozen=True)
class Tool:
    """An adapter of this folder, the library that it needs, and how its epoch is asked for."""

    adapter: str
    library: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether its library is installed and the processor computes in its precision.

        Where bf16 has to be emulated an epoch takes ten times as long.
        """
        if self.options.get("precision") == "bf16":
            return bool(environment.NATIVE_BF16 & environment.cpu_flags())
        return self.library is None or find_spec(self.library) is not None

    @property
    def module(self) -> Any:
        """The adapter; it imports its library."""
        return importlib.import_module(f"tests.benchmarks.peers.{self.adapter}")

    def epoch(self, setting: Setting, folder: Path) -> Epoch:
        epoch: Epoch = self.module.epoch(setting, folder, **self.options)
        return epoch


OURS = "reaugkd"
TOOLS = {
    OURS: Tool("ours"),
    "reaugkd, bf16": Tool("ours", options={"precision": "bf16"}),
    "transformers Trainer": Tool("trainer"),
    "TextBrewer": Tool("with_textbrewer", "textbrewer"),
    "TextBrewer, answers kept": Tool("with_textbrewer", "textbrewer", {"keep": True}),
    "torchdistill": Tool("with_torchdistill", "torchdistill"),
}
