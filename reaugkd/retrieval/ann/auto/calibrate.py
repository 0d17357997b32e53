"""How long exact and graph search take on this machine: measured once, kept, never guessed.

Every candidate has a process of its own: thread pools do not disturb each other, a library that
crashes here is one candidate less, and nothing that is only tried stays loaded in the caller.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import Field

from reaugkd import processor
from reaugkd.artifacts.cache import default_cache
from reaugkd.artifacts.store import ArtifactStore, write_json
from reaugkd.errors import UserError
from reaugkd.lifeline import lifeline
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import search_times
from reaugkd.retrieval.ann.auto.search_times import Candidate, Finite

PROTOCOL = 3
"""Part of the key: raised when times would be measured in another way."""

SPINS = "10000"
"""How often an idle thread looks for work, as in the processes of ``bench latency``."""

CANDIDATES = {
    "exact": ("numpy", "torch"),
    "hnswlib": ("hnswlib",),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss"),
    "usearch": ("usearch",),
    "svs": ("scalable-vs",),
    "voyager": ("voyager",),
}
"""Backends to choose from, each with the distributions that may bring its library.

Trees (annoy) are left out: at equal recall they are far slower than any graph.
"""

EXACT_SIZES, GRAPH_SIZES = (1_000, 4_000, 16_000), (1_000, 3_000)
BUSY = 0.5
"""Load per core above which an explanation warns of a calibration."""

_PATIENCE_S = 120.0
_FILE = "calibration.json"


class Machine(Finite):
    """What a calibration holds for: the key under which it is kept."""

    cpu: str
    cores: int = Field(ge=1, description="that this process may use")
    dim: int = Field(ge=1)
    threads: int = Field(ge=1)
    libraries: dict[str, str] = Field(description="installed candidates and their versions")


class Calibration(Finite):
    """All candidates of one machine, for one width and number of threads."""

    machine: Machine
    measured: tuple[Candidate, ...] = Field(min_length=1)
    seconds: float = Field(ge=0, description="that measuring took")
    load: float = Field(ge=0, description="when it began; on a busy machine times are too long")
    folder: Path | None = Field(None, exclude=True, description="where it is kept")


def this_machine(dim: int, threads: int) -> Machine:
    """The key of a calibration here and now; no library is imported."""
    return Machine(
        cpu=processor.full_model(),
        cores=processor.cores(),
        dim=dim,
        threads=threads,
        libraries={
            name: _version(distributions)
            for name, distributions in CANDIDATES.items()
            if ann.BACKENDS.entry(name).installed
        },
    )


def obtain(
    dim: int, threads: int = 1, *, cache: Path | None = None, reporter: Reporter | None = None
) -> Calibration:
    """The calibration for vectors of width ``dim``, from the cache or measured now.

    Args:
        dim: width of the vectors.
        threads: of a search.
        cache: folder to keep it in, the user's by default.
        reporter: told of progress, and of a file that is damaged.

    Raises:
        UserError: if the machine cannot be measured or the cache cannot be written.
    """
    machine, reporter = this_machine(dim, threads), reporter or Silent()
    identity = {"protocol": PROTOCOL, "machine": machine.model_dump(mode="json")}

    def build(folder: Path) -> None:
        write_json(folder / _FILE, measure(machine, reporter).model_dump(mode="json"))

    path = (
        ArtifactStore(cache or default_cache(), reporter).get("calibration", identity, build).path
    )
    kept = Calibration.model_validate_json((path / _FILE).read_text(encoding="utf-8"))
    return kept.model_copy(update={"folder": path})


def measure(machine: Machine, reporter: Reporter) -> Calibration:
    """Measure every installed candidate, one after the other, each in its own process.

    Raises:
        UserError: if exact search cannot be measured.
    """
    load, began = os.getloadavg()[0], time.perf_counter()
    stage = f"calibrating searches of width {machine.dim} on {machine.threads} threads"
    reporter.start(stage, len(machine.libraries), "backends")
    measured = []
    for spec in machine.libraries:
        measured.append(_in_a_process(spec, machine))
        reporter.advance(1)
    reporter.finish()
    if flaws := [c.flaw for c in measured if c.spec == "exact" and c.flaw]:
        raise UserError(f"exact search cannot be calibrated: {flaws[0]}")
    seconds = time.perf_counter() - began
    return Calibration(machine=machine, measured=tuple(measured), seconds=seconds, load=load)


def _in_a_process(spec: str, machine: Machine) -> Candidate:
    """Measure one candidate; whatever happens to the process is its flaw."""
    # Thread pools are sized before the libraries are imported; the same code is imported.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    paths = [str(Path(__file__).parents[4]), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = dict.fromkeys(names, str(machine.threads)) | {"PYTHONPATH": os.pathsep.join(paths)}
    variables["GOMP_SPINCOUNT"] = SPINS  # whoever calibrates, `bench run` among them
    with tempfile.TemporaryDirectory() as folder, lifeline() as stdin:
        out = Path(folder) / "measured.json"
        sizes = EXACT_SIZES if spec == "exact" else GRAPH_SIZES
        arguments = [spec, str(machine.dim), str(machine.threads), str(out), *map(str, sizes)]
        try:
            done = subprocess.run(
                [sys.executable, "-m", search_times.__name__, *arguments],
                env=os.environ | variables,
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            return Candidate(spec=spec, failure=f"took longer than {_PATIENCE_S:g} s")
        if done.returncode == 0:
            return Candidate.model_validate_json(out.read_text(encoding="utf-8"))
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return Candidate(spec=spec, failure=f"exit code {done.returncode}: {last}")


def _version(distributions: tuple[str, ...]) -> str:
    versions = []
    for name in distributions:
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return ", ".join(versions) or "unknown"  # installed, but by other means than a package
