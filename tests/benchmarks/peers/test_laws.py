"""What ``tests/test_peers.py`` says of the Trainer, of the tools that need their library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from baselines.kd import KD
from reaugkd.batch import SignalBatch
from reaugkd.training.batches import Collator
from tests.benchmarks.peers import toy
from tests.benchmarks.peers.setting import OBJECTIVE, Setting
from tests.benchmarks.peers.tools import TOOLS, Tool


@pytest.fixture(scope="module")
def setting() -> Setting:
    return toy.setting()


@pytest.fixture(params=[name for name, tool in TOOLS.items() if tool.library])
def tool(request: pytest.FixtureRequest) -> Tool:
    chosen = TOOLS[request.param]
    assert chosen.library is not None
    pytest.importorskip(chosen.library, reason=f"needs {chosen.library}: `tox run -e peers`")
    return chosen


def test_an_epoch_learns_in_as_many_steps(tool: Tool, setting: Setting, tmp_path: Path) -> None:
    before = setting.held_out_loss(setting.student())
    epoch = tool.epoch(setting, tmp_path)
    assert epoch.steps == setting.steps
    assert (epoch.preparing > 0.0) == bool(tool.options.get("keep"))
    assert setting.held_out_loss(epoch.student) < before


def test_the_first_loss_is_the_same(tool: Tool, setting: Setting, tmp_path: Path) -> None:
    """Without dropout; TextBrewer's cross-entropy lies the teacher's entropy above the KL."""
    rows, student = range(toy.BATCH), setting.student().eval()
    batch = Collator(setting.splits["fit"], setting.pad)(rows)
    with torch.no_grad():
        said = setting.teacher(**batch.inputs).logits
        expected = KD(OBJECTIVE).loss(student(**batch.inputs), SignalBatch(said), batch).total
        made: Any = tool.module.make(setting, tmp_path, **tool.options)
        inputs = {**batch.inputs, "labels": batch.labels}
        if tool.library == "torchdistill":
            made.student_model.eval()
            loss = made.forward_process(inputs, targets=None, supp_dict=None)
        else:
            made.model_S.eval()
            kept = (inputs, [said]) if tool.options else inputs
            loss, _ = made.train_on_batch(kept, {})
            soft = torch.softmax(said / OBJECTIVE.temperature, dim=1)
            entropy = -(soft * soft.log()).sum(dim=1).mean()
            loss = loss - OBJECTIVE.soft_weight * OBJECTIVE.temperature**2 * entropy
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
