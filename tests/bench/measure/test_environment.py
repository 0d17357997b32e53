"""Threads, cores and precision: what is refused, what a child process really gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import environment
from reaugkd.errors import MissingLibraryError, UnknownNameError, UserError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("threads", [0, -1, len(environment.cores()) + 1])
def test_threads_that_this_process_may_not_use_are_refused(threads: int) -> None:
    with pytest.raises(UserError, match=rf"threads {threads}: .* 1 to {len(environment.cores())} "):
        environment.require(threads, "fp32")


def test_an_unknown_precision_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bf16'"):
        environment.require(1, "bf15")


def test_bf16_is_refused_where_it_would_be_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "cpu_flags", lambda: frozenset({"avx2", "avx512f"}))
    with pytest.raises(UserError, match="no bf16 arithmetic"):
        environment.require(1, "bf16")
    environment.require(1, "fp32")
    for flag in environment.NATIVE_BF16:
        monkeypatch.setattr(environment, "cpu_flags", lambda flag=flag: frozenset({flag}))
        environment.require(1, "bf16")


def test_int8_names_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match=r"reaugkd\[int8\]"):
        environment.require(1, "int8")


def test_a_process_without_its_thread_settings_is_not_pinned() -> None:
    before = environment.cores()
    for name in environment.variables(1):
        wrong = {**environment.variables(1), name: "7"}
        with pytest.raises(UserError, match=f"{name}=.*, not 7"):
            environment.pin(1, wrong)
        with pytest.raises(UserError, match=f"{name}=.*, not None"):
            environment.pin(1, {n: v for n, v in wrong.items() if n != name})
    assert environment.cores() == before


def child(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_every_pool_of_a_child_has_the_threads_and_cores_that_were_asked_for() -> None:
    threads = min(2, len(environment.cores()))
    code = f"""if True:
        import os
        from bench.measure import environment
        environment.pin({threads})
        import faiss, numpy, sklearn, torch
        torch.set_num_threads({threads})
        torch.ones(300, 300) @ torch.ones(300, 300)
        print(environment.observe((0.0, 1.234, 2.0)).model_dump_json())
    """
    variables = environment.variables(threads)
    seen = json.loads(child(code, **variables))
    assert seen["affinity"] == environment.cores()[:threads]
    assert seen["torch_threads"] == threads
    assert {pool["threads"] for pool in seen["pools"]} == {threads}
    assert {pool["api"] for pool in seen["pools"]} == {"blas", "openmp"}
    assert seen["variables"].items() >= variables.items()
    assert seen["load_before"] == [0.0, 1.23, 2.0]
    assert not any("/" in pool["library"] for pool in seen["pools"])  # no paths of a machine


def test_choosing_threads_imports_nothing_that_reads_them() -> None:
    heavy = "{'numpy', 'torch', 'faiss', 'sklearn'}"
    code = f"import sys, bench.measure.worker; print(sorted({heavy} & {{*sys.modules}}))"
    assert child(code).strip() == "[]"
