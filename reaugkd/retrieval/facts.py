"""What is known of how a classifier was made and measured; its model card is written from it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reaugkd.artifacts.atomic import write_bytes
from reaugkd.errors import UserError


class FactModel(BaseModel):
    """Finite values that never change; what a later version adds is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ScoresOffOn(FactModel):
    """The student alone and with its knowledge base, on the rows of one split."""

    split: str
    metric: str
    off: float = Field(description="the student alone")
    on: float = Field(description="with k, beta and tau as chosen")
    difference: float = Field(description="on - off, the mean over seeds")
    low: float | None = Field(None, description="lower end of its 95 % interval")
    high: float | None = None
    seeds: int = 1
    examples: int | None = None


class OverheadFacts(FactModel):
    """What retrieval adds to a forward pass, as ``bench latency`` measured it; shares."""

    verdict: str
    limit: float
    estimate: float
    low: float
    high: float
    batch: int
    precision: str
    threads: int
    cpu: str


class ClassifierFacts(FactModel):
    """How a classifier was made; what is not known is None or empty.

    ``k``, ``beta`` and ``tau`` are those of the comparison, whatever the classifier has now.
    """

    title: str | None = Field(None, description="of the task")
    source: str | None = Field(None, description="where the rows came from, without folders")
    notes: tuple[str, ...] = Field((), description="what a reader should know of the rows")
    rows: dict[str, int] = Field({}, description="split -> number of rows")
    teacher: str | None = None
    student: str | None = Field(None, description="what it was before it was distilled")
    method: str | None = None
    seed: int | None = None
    metric: str | None = Field(None, description="that everything was chosen by")
    chosen_on: str | None = Field(None, description="the split k, beta and tau were chosen on")
    k: int | None = None
    beta: float | None = None
    tau: float | None = None
    comparison: tuple[ScoresOffOn, ...] = ()
    overhead: tuple[OverheadFacts, ...] = ()
    version: str | None = Field(None, description="of this project, when it was trained")
    license: str | None = Field(None, pattern=r"^[A-Za-z0-9.+-]+$")

    def licensed(self, license_id: str) -> ClassifierFacts:
        """The same facts with a licence, by its identifier, e.g. ``apache-2.0``.

        A UserError tells of what is no identifier.
        """
        try:
            return type(self).model_validate({**self.model_dump(), "license": license_id})
        except ValidationError as error:
            raise UserError(
                f"license must be an identifier like 'apache-2.0', got {license_id!r}"
            ) from error


def write(path: Path, facts: ClassifierFacts) -> None:
    """Write the facts as JSON."""
    write_bytes(path, f"{facts.model_dump_json(indent=1)}\n".encode())


def read(path: Path) -> ClassifierFacts | None:
    """The facts that :func:`write` wrote; None where there is no file, as in older folders.

    A UserError names a file that holds none.
    """
    if not path.exists():
        return None
    try:
        return ClassifierFacts.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        first = " ".join(str(error).split("\n")[:3])
        raise UserError(f"{path} holds no facts of a classifier: {first}") from error
