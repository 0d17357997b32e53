"""How long exact and graph search take on this machine: measured in seconds, kept, never guessed.

Every candidate is measured in a process of its own: the thread pools of one library do not
disturb the next, a library that crashes here is one candidate less, and nothing that is only tried
stays loaded in the caller.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reaugkd.artifacts import ArtifactStore, write_json
from reaugkd.cache import default_cache
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.normalise import Vectors, unit_rows

PROTOCOL = 2
"""Part of the key: raised when times would be measured in another way."""

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

K, TARGET, QUERIES = 10, 0.99, 400
EXACT_SIZES, GRAPH_SIZES = (1_000, 4_000, 16_000), (1_000, 3_000)
CALLS = {1: 40, 8: 20, 32: 15}
"""Timed calls by batch."""

BUSY = 0.5
"""Load per core above which an explanation warns of a calibration."""

_TIE = 1e-6  # an answer this little below the true k-th one counts, as in the tuning of a run
_FLUSH = 32 << 20
_WARM_UP = 3
_PATIENCE_S = 120.0
_FILE = "calibration.json"


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Machine(_Plain):
    """What a calibration holds for: it is the key under which it is kept."""

    cpu: str
    cores: int = Field(ge=1, description="that this process may use")
    dim: int = Field(ge=1)
    threads: int = Field(ge=1)
    libraries: dict[str, str] = Field(description="installed candidates and their versions")


class Point(_Plain):
    """The median time of one call of ``search``."""

    size: int = Field(ge=1)
    batch: int = Field(ge=1)
    microseconds: float = Field(gt=0, description="per call, that is for the whole batch")
    effort: int | None = Field(description="least one that reaches the target, None without a knob")
    recall: float = Field(ge=0, le=1, description=f"recall@{K} with this effort")


class Measured(_Plain):
    """One candidate; without points it could not be measured, for the reason in ``failure``."""

    spec: str
    points: tuple[Point, ...] = ()
    failure: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it was measured and reached the recall that all are compared at."""
        return bool(self.points) and min(point.recall for point in self.points) >= TARGET

    @property
    def flaw(self) -> str | None:
        """Why it is not usable."""
        if self.failure is None and not self.usable:
            least = min(point.recall for point in self.points)
            return f"reaches a recall of {least:.3f}, not {TARGET}"
        return self.failure


class Calibration(_Plain):
    """All candidates of one machine, for one width and number of threads.

    Attributes:
        seconds: that measuring took.
        load: load average when it began; on a busy machine the times are too long.
        folder: where it is kept, None for one that is not.
    """

    machine: Machine
    measured: tuple[Measured, ...] = Field(min_length=1)
    seconds: float = Field(ge=0)
    load: float = Field(ge=0)
    folder: Path | None = Field(None, exclude=True)


def this_machine(dim: int, threads: int) -> Machine:
    """The key of a calibration here and now; no library is imported."""
    installed = {name: of for name, of in CANDIDATES.items() if ann.BACKENDS.entry(name).installed}
    return Machine(
        cpu=_processor(),
        cores=_cores(),
        dim=dim,
        threads=threads,
        libraries={name: _version(of) for name, of in installed.items()},
    )


def obtain(
    dim: int, threads: int = 1, *, cache: Path | None = None, reporter: Reporter | None = None
) -> Calibration:
    """The calibration for vectors of width ``dim``, from the cache or measured now.

    Args:
        dim: width of the vectors.
        threads: of a search.
        cache: folder to keep it in, the user's by default.
        reporter: told of progress, and of a file that is damaged or of another machine.

    Raises:
        UserError: if the cache cannot be written, or exact search cannot be measured.
    """
    machine, told = this_machine(dim, threads), reporter or Silent()
    root = cache or default_cache()
    identity = {"protocol": PROTOCOL, "machine": machine.model_dump(mode="json")}

    def build(folder: Path) -> None:
        write_json(folder / _FILE, measure(machine, told).model_dump(mode="json"))

    problem = ""
    for _ in range(2):
        path = ArtifactStore(root, told).get("calibration", identity, build).path
        try:
            found = Calibration.model_validate_json((path / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            problem = f"{path} holds no calibration"
        else:
            if found.machine == machine:
                return found.model_copy(update={"folder": path})
            problem = f"{path} holds a calibration of another machine"
        told.note(f"{problem}: measuring again")
        shutil.rmtree(path, ignore_errors=True)
    raise UserError(f"{problem}, although it was just measured")


def measure(machine: Machine, reporter: Reporter | None = None) -> Calibration:
    """Measure every installed candidate, one after the other, each in its own process.

    Raises:
        UserError: if exact search cannot be measured.
    """
    told, load, began = reporter or Silent(), os.getloadavg()[0], time.perf_counter()
    stage = f"calibrating searches of width {machine.dim} on {machine.threads} threads"
    told.start(stage, len(machine.libraries), "backends")
    measured = []
    for spec in machine.libraries:
        measured.append(_in_a_process(spec, machine))
        told.advance(1)
    told.finish()
    for one in measured:
        if one.spec == "exact" and one.failure:
            raise UserError(f"exact search cannot be calibrated: {one.failure}")
    seconds = time.perf_counter() - began
    return Calibration(machine=machine, measured=tuple(measured), seconds=seconds, load=load)


def points(spec: str, dim: int, threads: int, sizes: tuple[int, ...]) -> list[Point]:
    """Time ``spec`` over generated vectors, at the least effort with a recall of :data:`TARGET`."""
    vectors = structured(max(sizes), dim, seed=1)
    queries = structured(QUERIES, dim, seed=2)
    found = []
    for size in sizes:
        index = ann.make(spec, threads=threads, build_threads=_cores())
        index.build(vectors[:size])
        recall = 1.0 if spec == "exact" else _least_effort(index, vectors[:size], queries)
        for batch in CALLS:
            microseconds = _call(index, queries, batch)
            found.append(
                Point(
                    size=size,
                    batch=batch,
                    microseconds=microseconds,
                    effort=index.effort,
                    recall=recall,
                )
            )
    return found


def structured(rows: int, dim: int, seed: int) -> Vectors:
    """Unit vectors [rows, dim] in two clusters with a spread of low rank, as a teacher makes them.

    White noise has no near neighbours and would make every graph look bad.
    """
    shape = np.random.default_rng(dim)  # the clusters are the same for vectors and queries
    spread = unit_rows(shape.standard_normal((24, dim))) * (0.85 ** np.arange(24))[:, None]
    centres = 2.0 * unit_rows(shape.standard_normal((2, dim)))
    random = np.random.default_rng([dim, seed])
    embeddings = centres[random.integers(0, 2, rows)]
    embeddings += random.standard_normal((rows, 24)) @ spread
    embeddings += 0.1 / np.sqrt(dim) * random.standard_normal((rows, dim))
    return unit_rows(embeddings)


def _least_effort(index: AnnIndex, vectors: Vectors, queries: Vectors) -> float:
    """Set the least effort that reaches the target; the recall with it, or the best there is.

    The steps of the ladder are wide: between the last two the least one is searched for, or the
    steps would drown the growth of the times from one size to the next. An effort of more than a
    quarter of the entries is not tried: exact search is faster.
    """
    cosines = queries @ vectors.T  # no exact index: it would bring torch into each process
    least = np.partition(cosines, -K, axis=1)[:, [-K]] - _TIE

    def recall(effort: int | None) -> float:
        index.effort = effort
        ids = index.search(queries, K)[1]
        hits = np.take_along_axis(cosines, np.maximum(ids, 0), axis=1) >= least
        return float((hits & (ids >= 0)).mean())

    efforts = [effort for effort in index.efforts(K) if effort <= max(K, len(vectors) // 4)]
    if not efforts:
        return recall(index.effort)
    too_low, enough, reached = efforts[0] - 1, efforts[0], recall(efforts[0])
    for effort in efforts[1:]:
        if reached >= TARGET:
            break
        too_low, enough, reached = enough, effort, recall(effort)
    while reached >= TARGET and enough - too_low > 1:
        middle = (enough + too_low) // 2
        there = recall(middle)
        if there >= TARGET:
            enough, reached = middle, there
        else:
            too_low = middle
    index.effort = enough
    return reached


def _call(index: AnnIndex, queries: Vectors, batch: int) -> float:
    """Median microseconds of a call with ``batch`` queries, the caches emptied before each.

    In use a search follows the forward of a network, which leaves nothing of the index in them.
    """
    flush = np.ones(_FLUSH // 4, np.float32)
    times = []
    for number in range(CALLS[batch] + _WARM_UP):
        start = number * batch % (len(queries) - batch + 1)
        asked = queries[start : start + batch]
        flush.sum()
        began = time.perf_counter_ns()
        if batch == 1:  # what the query path calls
            index.nearest(asked, K)
        else:
            index.search(asked, K)
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times[_WARM_UP:])) / 1e3


def _in_a_process(spec: str, machine: Machine) -> Measured:
    """Run this module for one candidate; whatever happens to the process is told as its flaw."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        sizes = EXACT_SIZES if spec == "exact" else GRAPH_SIZES
        arguments = [spec, str(machine.dim), str(machine.threads), str(out), *map(str, sizes)]
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, *arguments],
                env=_environment(machine.threads),
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
            )
        except subprocess.TimeoutExpired:
            return Measured(spec=spec, failure=f"took longer than {_PATIENCE_S:g} s")
        if done.returncode == 0:
            return Measured.model_validate_json(out.read_text(encoding="utf-8"))
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        return Measured(spec=spec, failure=f"exit code {done.returncode}: {said[-1]}")


def _environment(threads: int) -> dict[str, str]:
    """Thread pools are sized before the libraries are imported; the same code is imported."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    source = str(Path(__file__).parents[2])
    paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
    sized = dict.fromkeys(names, str(threads))
    return {**os.environ, **sized, "PYTHONPATH": os.pathsep.join(paths)}


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _version(distributions: tuple[str, ...]) -> str:
    found = []
    for name in distributions:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found) or "unknown"  # installed, but by other means than a package


def _processor() -> str:
    """Model of the CPU: its name, and its numbers where the name is a hypervisor's."""
    info = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    numbers = [fields.get(name, "") for name in ("cpu family", "model", "stepping")]
    name = fields.get("model name") or platform.processor() or platform.machine()
    return " ".join(filter(None, [name, "/".join(filter(None, numbers))]))


def main(arguments: list[str]) -> None:
    """Measure one candidate: spec, width, threads, the file to write, then the sizes."""
    spec, dim, threads, out, *sizes = arguments
    found = points(spec, int(dim), int(threads), tuple(map(int, sizes)))
    write_json(Path(out), Measured(spec=spec, points=tuple(found)).model_dump(mode="json"))


if __name__ == "__main__":
    main(sys.argv[1:])
