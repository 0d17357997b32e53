"""What a run is made of: defaults < preset < settings file < flags, all checked in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from bench.records.base import MARGIN, NONE, USUAL
from reaugkd.errors import UserError
from reaugkd.models.recipe import Pooling, Recipe, TeacherRecipe
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.paths import expanded
from reaugkd.retrieval import condense
from reaugkd.tasks.carving import CarvedTest, carves

KS = (1, 2, 4, 8, 10, 15, 16, 20, 32)
BETAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TAUS = (0.05, 0.07, 0.1, 0.5, 1.0)


def _expanded(path: Path) -> Path:
    try:
        return expanded(path)
    except UserError as error:
        raise ValueError(str(error)) from error


def _canonical(spelled: Callable[[str], str], texts: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(map(spelled, texts))
    except UserError as error:
        raise ValueError(str(error)) from error


SettingPath = Annotated[Path, AfterValidator(_expanded)]
"""A path that may begin with ``~``, in a file as on the command line."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""Of 32 bits, which every generator behind a run can take."""


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def _require_distinct(self, *names: str) -> None:
        for name in names:
            values = getattr(self, name)
            if not values:
                raise ValueError(f"{name} is empty: at least one is needed")
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has a value twice: {', '.join(map(str, values))}")


class DataConfig(_Checked):
    """Where rows come from and how they are divided and tokenised.

    ``train``, ``test``, ``text`` and ``label`` make a task of a user's own rows; ``kind`` and
    ``labels`` are found in them where they are not given. A ``test`` of train is for every task;
    ``limit`` is of what it leaves.
    """

    train: str | None = Field(None, description="own rows: a file, or hub:NAME[:SPLIT]")
    held_out: str | None = Field(None, description="the same; by default a part of train")
    test: str | None = Field(
        None,
        description="the same, scored once; or train:N or train:P%, of whatever task: rows carved "
        "out of train, with the task's own test split beside them",
    )
    dev: str | None = Field(
        None,
        exclude_if=lambda source: source is None,  # or run folders of before would not be found
        description="own rows scored beside a test split that is carved out of train",
    )
    text: tuple[str, ...] = Field((), description="the column of the text, or both of a pair")
    label: str | None = Field(None, description="the column of the label")
    name: str | None = Field(
        None, pattern=r"^\w[\w.-]*$", description="of the task; by default of the file of train"
    )
    kind: Literal["classes", "score"] | None = Field(None, description="what the labels are")
    labels: tuple[str, ...] = Field((), description="classes in the order of their ids")
    delimiter: str | None = Field(None, description="of a CSV file; found by default")
    quotes: bool = Field(True, description='whether " may enclose the cells of a CSV file')
    encoding: str | None = Field(None, description="of a text file; UTF-8 by default")
    dir: SettingPath | None = Field(None, description="GLUE in the layout of the official download")
    hub: str = Field("nyu-mll/glue", description="data set on the hub, or a local copy of it")
    revision: str | None = None
    limit: int | None = Field(None, ge=1, description="rows of train to keep; all by default")
    split_seed: Seed = Field(0, description="of the fit / held-out division")
    max_length: int = Field(128, ge=4, le=512, description="tokens; longer texts are cut")

    @field_validator("hub")
    @classmethod
    def _local(cls, hub: str) -> str:
        return str(_expanded(Path(hub))) if hub.startswith("~") else hub

    @field_validator("test")
    @classmethod
    def _spelled(cls, test: str | None) -> str | None:
        return str(CarvedTest.parse(test)) if test is not None and carves(test) else test

    @field_validator("text", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        character = {"tab": "\t", "\\t": "\t"}.get(value, value) if value else value
        if character is not None and len(character) != 1:
            raise ValueError(f"delimiter is one character, or tab, not {value!r}")
        return character

    @model_validator(mode="after")
    def _own_rows(self) -> Self:
        needed = {"train": self.train, "test": self.test, "text": self.text, "label": self.label}
        alone = ("held_out", "dev", "name", "kind", "labels", "delimiter", "encoding")
        given = [name for name in (*needed, *alone) if getattr(self, name)]
        if carves(self.test):
            given.remove("test")  # of whatever rows
        elif self.dev:
            raise ValueError("data.dev stands beside a data.test of train, e.g. --test train:20%")
        missing = ", ".join(
            f"data.{name} (--{name})" for name, value in needed.items() if not value
        )
        if given == ["test"]:
            raise ValueError(
                f"data.test = '{self.test}' is of rows of your own, which need {missing} too; rows "
                "of a task's train are 'train:4000' or 'train:20%'"
            )
        if given and missing:
            raise ValueError(f"data.{given[0]} is of rows of your own, which need {missing} too")
        if len(self.text) > 2:
            raise ValueError(f"text is one column or two, not {len(self.text)}")
        columns = [*self.text, self.label]
        if given and len(set(columns)) < len(columns):
            raise ValueError(
                f"text and label are different columns, not {', '.join(map(str, columns))}"
            )
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels has a class twice")
        return self


class TeacherConfig(_Checked):
    """The teacher and its fine-tuning."""

    model: ModelSpec = ModelSpec(source="google-bert/bert-base-uncased")
    tokenizer: str | None = Field(
        None, description="where its tokenizer lies, if not beside the model; 'mini' is the suite's"
    )
    recipe: TeacherRecipe = TeacherRecipe(learning_rate=2e-5, epochs=3)
    seed: Seed = 0
    finetune: bool = Field(
        True, description="false: a finished classifier teaches as it is, by its own head"
    )
    floor: Literal["majority", "none"] = Field(
        "majority", description="none: any teacher teaches, however poor"
    )
    floor_margin: float = Field(
        0.02, ge=0, description="how much better than the majority class it must be, held-out"
    )
    outputs: SettingPath | None = Field(
        None,
        description="a black-box teacher: a file of what it says of the rows of train, or a folder "
        "with a file per split; then no teacher model is run",
    )
    key_encoder: ModelSpec | None = Field(
        None,
        description="a frozen sentence encoder whose embeddings stand for those that a black-box "
        "teacher lacks",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.outputs is not None and not self.finetune:
            raise ValueError("outputs are a teacher without a model: leave finetune out")
        if self.key_encoder is not None and self.outputs is None:
            raise ValueError("key_encoder gives a black-box teacher its keys: give outputs as well")
        if self.key_encoder and self.key_encoder.source in (TEACHER, PRETRAINED, CONFIG):
            raise ValueError(f"key_encoder is a model of its own, not '{self.key_encoder.source}'")
        if not self.finetune and self.model.source == CONFIG:
            raise ValueError("finetune=false takes a finished classifier, not random weights")
        if not self.finetune and self.model.layers is not None:
            raise ValueError("finetune=false takes a classifier whole, without @layers")
        return self


class StudentConfig(_Checked):
    """The student and its training."""

    model: ModelSpec = ModelSpec(source="google/bert_uncased_L-6_H-768_A-12")
    tokenizer: str | None = Field(
        None,
        exclude_if=lambda name: name is None,  # or run folders of before would not be found again
        description="where its tokenizer lies, if not beside the model; 'mini' is the suite's; a "
        "student from a config reads with the teacher's by default",
    )
    recipe: Recipe = Recipe()


def _usually(axis: str, description: str) -> Any:
    """A list that is written only where it is not as usual.

    Or run folders of before would not be found again.
    """
    usual = (USUAL[axis],)
    return Field(usual, exclude_if=lambda values: values == usual, description=description)


class RetrievalConfig(_Checked):
    """The knowledge base, the indexes and the sweep.

    The first value of ``keys``, ``values``, ``share``, ``control``, ``condense``, ``pca``,
    ``value_bits``, ``count_weight``, ``ann`` and ``skip`` is the reference: it must be possible,
    while further values that are not become skipped cells.
    """

    methods: Literal["own", "all"] = Field(
        "own", description="who queries: methods that are made for it, or the students of all"
    )
    ann: tuple[str, ...] = ("exact",)
    k: tuple[int, ...] = KS
    beta: tuple[float, ...] = BETAS
    tau: tuple[float, ...] = TAUS
    keys: tuple[Literal["projected", "teacher", "student"], ...] = ("projected",)
    values: tuple[Literal["soft", "hard", "cross-fitted"], ...] = ("soft",)
    share: tuple[float, ...] = Field(
        (1.0,), description="of the rows of fit that are entries; drawn at random, nested"
    )
    control: tuple[Literal["none", "shuffled-labels", "random-keys"], ...] = Field(
        ("none",), description="knowledge bases that must not help"
    )
    condense: tuple[str, ...] = _usually(
        "condense",
        "entries that stand for all: full, or NAME:ENTRIES or NAME:PERCENT%, and @1 for another "
        "draw",
    )
    pca: tuple[Annotated[int, Field(ge=1)] | Literal["none"], ...] = _usually(
        "pca", "dimensions that keys and queries are reduced to"
    )
    value_bits: tuple[Literal[32, 8], ...] = _usually("value_bits", "of each number of a value")
    count_weight: tuple[bool, ...] = _usually(
        "count_weight", "whether an entry weighs as much as the rows that it stands for"
    )
    skip: tuple[str, ...] = _usually(
        "skip", "whom the student answers alone: never, lossless, or risk:EPS[@DELTA]"
    )
    margin: float = Field(
        MARGIN,
        ge=0,
        description="points that a cheaper knowledge base may lose and be non-inferior",
    )
    design: Literal["product", "one-at-a-time"] = Field(
        "product",
        description="every combination of the axes, or one axis at a time varied around the first "
        "value of each",
    )
    folds: int = Field(5, ge=2, description="teachers behind cross-fitted values")
    controls: bool = Field(
        False, description="also record what does as well without a knowledge base"
    )
    recall_target: float = Field(0.99, gt=0, le=1, description="search effort is tuned to it")

    @field_validator("k", "beta", "tau")
    @classmethod
    def _in_order(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(values))  # the order in which they are given decides nothing

    @field_validator("condense")
    @classmethod
    def _condensers(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        return _canonical(lambda spec: str(condense.parse(spec)), specs)

    @field_validator("skip")
    @classmethod
    def _rules(cls, rules: tuple[str, ...]) -> tuple[str, ...]:
        from reaugkd.retrieval import skip

        return _canonical(lambda rule: str(skip.parse(rule)), rules)

    @field_validator("pca", mode="before")
    @classmethod
    def _dimensions(cls, dims: Any) -> Any:
        """Numbers of a flag, which come as text; an error that says what they are for."""
        if not isinstance(dims, list | tuple):
            return dims
        texts = [str(dim).strip().lower() for dim in dims]
        for text in texts:
            if text != NONE and not (text.isdigit() and int(text)):
                raise ValueError(f"pca is a number of dimensions above 0, or none, not '{text}'")
        return tuple(text if text == NONE else int(text) for text in texts)

    @model_validator(mode="after")
    def _grid(self) -> Self:
        self._require_distinct("ann", "k", "beta", "tau", "keys", "values", "share", "control")
        self._require_distinct(*USUAL)
        if min(self.k) < 1:
            raise ValueError(f"k must be at least 1, not {min(self.k)}")
        if not (min(self.beta) >= 0 and max(self.beta) <= 1):
            raise ValueError("beta is the weight of the retrieved labels, between 0 and 1")
        if min(self.tau) <= 0:
            raise ValueError("tau must be positive")
        if not (min(self.share) > 0 and max(self.share) <= 1):
            raise ValueError("share is a part of the rows of fit, above 0 and at most 1")
        return self

    @property
    def compares(self) -> bool:
        """Whether some knowledge base is cheaper, so that it must not be worse by the margin."""
        return any(getattr(self, axis) != (usual,) for axis, usual in USUAL.items())

    @model_serializer(mode="wrap")
    def _dump(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a margin where nothing is compared by it, as in settings of before."""
        tree: dict[str, Any] = dump(self)
        if not self.compares:
            tree.pop("margin", None)
        return tree


class Variant(_Checked):
    """A method under another name: settings of its own on top of the method's, or another start."""

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)
    student: ModelSpec | None = Field(
        None,
        exclude_if=lambda student: student is None,  # as in the settings of before
        description="what its students start from, instead of student.model; layers = 'bottom', "
        "'spread' or 'top' takes as many as that has",
    )


class RunConfig(_Checked):
    """One run of ``bench run``, completely."""

    ablation: str | None = Field(None, description="the shipped ablation that this is")
    methods: tuple[str, ...] = ("finetune", "kd", "reaugkd")
    tasks: tuple[str, ...]
    metrics: tuple[str, ...] = Field(
        (), description="what is scored, the first also chooses; those of the task by default"
    )
    seeds: tuple[Seed, ...] = (0,)
    pooling: Pooling = Field("cls", description="of teacher and student")
    device: Literal["auto", "cpu"] = Field("auto", description="for training; retrieval is on CPU")
    threads: int | None = Field(
        None, ge=1, description="of torch, at most; all cores by default, one where models are tiny"
    )
    data: DataConfig = DataConfig()
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    settings: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="method -> its settings"
    )
    variant: dict[str, Variant] = Field(
        default_factory=dict, description="further names for methods, to compare settings or starts"
    )
    task: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="task -> what differs for it, e.g. student.recipe.epochs"
    )

    @field_validator("metrics")
    @classmethod
    def _spelled(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower().replace("-", "_") for name in names)

    @model_validator(mode="after")
    def _matrix(self) -> Self:
        self._require_distinct("methods", "tasks", "seeds", *(["metrics"] if self.metrics else []))
        return self

    def base(self, method: str) -> str:
        """The registered method behind a name, which may be that of a variant."""
        return self.variant[method].method if method in self.variant else method

    def student_of(self, method: str) -> ModelSpec:
        """What the students of a method or a variant start from."""
        variant = self.variant.get(method)
        return self.student.model if variant is None or variant.student is None else variant.student

    def settings_of(self, method: str) -> dict[str, Any]:
        """The settings given for a method or a variant; what is not given has its default."""
        settings = self.settings.get(self.base(method), {})
        variant = self.variant.get(method)
        return {**settings, **variant.settings} if variant else settings
