"""Defaults < preset < file < flags; a mistake is one line that names what was meant."""

from __future__ import annotations

from typing import Any

import pytest

from baselines import METHODS
from bench import layers
from bench.cli.run import PATHS, flags
from bench.config import BETAS, RunConfig
from bench.settings import SettingError, Tree, assignment, merge, resolve
from bench.task import task_of
from reaugkd.errors import UserError
from reaugkd.tasks import TASKS, load
from reaugkd.tasks.metrics import choose
from tests.bench import runs

MINI = layers.read("preset", "mini")


def options(**given: Any) -> dict[str, Any]:
    """What click hands to ``bench run``, all but ``given`` left out by the user."""
    names = ("methods", "tasks", "ann", "k", "beta", "tau", "seeds", "text", "metric")
    return {**dict.fromkeys(PATHS), **{name: [] for name in names}, **given}


def epochs(config: RunConfig) -> int:
    return config.student.recipe.epochs


def test_later_layers_win_and_leave_the_rest() -> None:
    layers: list[Tree] = [
        {"tasks": ["tone"], "retrieval": {"k": [3]}, "student": {"recipe": {"epochs": 4}}},
        {"student": {"recipe": {"epochs": 5, "batch_size": 7}}},
        {"student": {"recipe": {"epochs": 6}}},
    ]
    for count, expected in ((1, 4), (2, 5), (3, 6)):
        assert epochs(resolve(layers[:count]).whole) == expected
    config = resolve(layers).whole
    assert config.student.recipe.batch_size == 7
    assert (config.retrieval.k, config.retrieval.beta) == ((3,), BETAS)


def test_a_tasks_table_wins_over_its_layer_and_a_later_layer_over_both() -> None:
    preset: Tree = {
        "tasks": ["tone", "alike"],
        "student": {"recipe": {"epochs": 2}},
        "task": {"tone": {"student": {"recipe": {"epochs": 9, "batch_size": 8}}}},
    }
    tasks = resolve([preset]).tasks
    assert (epochs(tasks["tone"]), epochs(tasks["alike"])) == (9, 2)
    tasks = resolve([preset, assignment("student.recipe.epochs=3")]).tasks
    assert (epochs(tasks["tone"]), epochs(tasks["alike"])) == (3, 3)
    assert tasks["tone"].student.recipe.batch_size == 8
    later = {"task": {"tone": {"student": {"recipe": {"epochs": 5}}}}}
    assert epochs(resolve([preset, later]).tasks["tone"]) == 5


def test_a_model_is_replaced_whole_and_takes_the_tokenizer_with_it() -> None:
    """A pretrained teacher would otherwise read with the tokenizer of the embedded suite."""
    config = resolve([MINI, flags(options(teacher="org/teacher@1,3"))]).whole
    assert config.teacher.model.model_dump(exclude_none=True) == {
        "source": "org/teacher",
        "layers": (1, 3),
    }
    assert config.teacher.tokenizer is None
    assert resolve([MINI, assignment("teacher.model=org/teacher@1,3")]).whole == config
    assert config.teacher.recipe == resolve([MINI]).whole.teacher.recipe
    explicit = {"teacher": {"model": {"source": "x"}, "tokenizer": "y"}}
    assert resolve([MINI, explicit]).whole.teacher.tokenizer == "y"


def test_a_tokenizer_that_is_not_given_leaves_the_name_of_a_run_folder_as_it_was() -> None:
    named = resolve([MINI, {"student": {"tokenizer": "mini"}}]).whole
    assert named.model_dump(mode="json")["student"]["tokenizer"] == "mini"
    assert "tokenizer" not in resolve([MINI]).whole.model_dump(mode="json")["student"]


def test_merging_changes_neither_side() -> None:
    base: Tree = {"a": {"b": 1}, "c": [1, 2]}
    over: Tree = {"a": {"d": 2}, "c": [3]}
    assert merge(base, over) == {"a": {"b": 1, "d": 2}, "c": [3]}
    assert (base, over) == ({"a": {"b": 1}, "c": [1, 2]}, {"a": {"d": 2}, "c": [3]})
    assert merge(base, {}) == base


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("4.5", 4.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"x y"', "x y"),
        ("bf16", "bf16"),
        ("a=b", "a=b"),
        ("{epochs = 2}", {"epochs": 2}),
    ],
)
def test_the_value_of_set_is_toml_or_else_a_string(text: str, value: Any) -> None:
    assert assignment(f"student.x-y={text}") == {"student": {"x_y": value}}


@pytest.mark.parametrize("name", ["kd.temperature", "KD.temperature", "settings.kd.temperature"])
def test_a_methods_setting_is_named_by_the_method(name: str) -> None:
    config = resolve([MINI, assignment(f"{name}=4")]).whole
    assert config.settings["kd"] == {"temperature": 4}
    assert config.settings == {**MINI["settings"], "kd": {"temperature": 4}}


@pytest.mark.parametrize("text", ["kd.temperature", "=4", "kd.=4", ".x=1", ""])
def test_set_without_a_name_or_a_value_is_told(text: str) -> None:
    with pytest.raises(SettingError, match="expected NAME=VALUE"):
        assignment(text)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"metods": ["kd"]}, ("metods", "'methods'", "known:")),
        ({"student": {"recipe": {"epoch": 3}}}, ("student.recipe.epoch", "'epochs'")),
        ({"data": {"folder": "x"}}, ("data.folder", "known:", "dir")),
        ({"teacher": {"model": {"source": "x", "layer": [1]}}}, ("teacher.model.layer", "layers")),
        ({"student": {"recipe": {"epochs": "ten"}}}, ("student.recipe.epochs", "'ten'", "integer")),
        ({"student": {"recipe": {"precision": "fp16"}}}, ("precision", "'fp16'", "bf16")),
        ({"student": {"recipe": {"epochs": 0}}}, ("student.recipe.epochs", "= 0", "greater")),
        ({"student": {"model": 3}}, ("student.model", "= 3")),
        ({"teacher": 3}, ("teacher", "= 3")),
        ({"task": [1]}, ("task", "[1]")),
        ({"pooling": "max"}, ("pooling", "'max'", "'cls'")),
        ({"retrieval": {"k": [0, 1]}}, ("retrieval", "k must be at least 1")),
        ({"retrieval": {"k": [1, 1]}}, ("retrieval", "k", "twice")),
        ({"retrieval": {"beta": [1.5]}}, ("retrieval", "between 0 and 1")),
        ({"retrieval": {"tau": [0.0]}}, ("retrieval", "tau", "positive")),
        ({"retrieval": {"share": [0.0]}}, ("retrieval", "share", "above 0")),
        ({"retrieval": {"share": [1.5]}}, ("retrieval", "share", "at most 1")),
        ({"retrieval": {"ann": []}}, ("retrieval", "ann is empty")),
        ({"retrieval": {"keys": ["projectd"]}}, ("retrieval.keys", "'projectd'", "'projected'")),
        ({"seeds": [1, 1]}, ("seeds", "twice", "1, 1")),
        ({"methods": []}, ("methods", "empty")),
        ({"settings": {"kd": {"temprature": 2}}}, ("kd.temprature", "'temperature'")),
        ({"settings": {"kd": {"temperature": -1}}}, ("kd.temperature", "-1", "greater than 0")),
        ({"settings": {"kdd": {}}}, ("unknown method 'kdd'", "'kd'")),
        ({"methods": ["reagkd"]}, ("unknown method 'reagkd'", "'reaugkd'")),
        ({"tasks": ["folows"]}, ("unknown task 'folows'", "'follows'")),
        ({"task": {"mrcp": {}}}, ("unknown task 'mrcp'", "'mrpc'")),
        ({"task": {"tone": {"threads": 1}}}, ("task.tone.threads", "the same for all tasks")),
        ({"seeds": [-1]}, ("seeds", "-1", "greater than or equal to 0")),
        ({"task": {"rte": {"studnet": {}}}}, ("[rte]", "studnet", "'student'")),
        ({"task": {"rte": {"settings": {"kd": {"x": 1}}}}}, ("kd.x", "known:")),
    ],
)
def test_a_mistake_names_the_field_the_value_and_what_is_allowed(
    tree: Tree, words: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as found:
        resolve([MINI, tree])
    message = str(found.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_lists_are_written_with_commas_repeated_or_as_all() -> None:
    def plan(*words: str) -> str:
        done = runs.bench("run", "--dry-run", "--limit", "400", *words)
        assert done.exit_code == 0, done.output
        return done.output

    common = ("--tasks", "tone", "--ann", "exact", "--k", "1,2")
    assert plan("--methods", "kd,reaugkd", *common) == plan(
        "--methods", "KD", "--methods", "ReAugKD", "--tasks", "tone",
        "--ann", "Exact", "--k", "1", "--k", "2",
    )  # fmt: skip
    everything = plan("--methods", "all", *common)
    assert all(name in everything for name in METHODS)


def test_minus_and_underscore_are_the_same() -> None:
    assert layers.read("preset", "glue_minilm") == layers.read("preset", "GLUE-MiniLM")
    assert resolve([MINI, {"tasks": ["SST-2"]}]).whole.tasks == ("sst2",)
    assert assignment("student.recipe.batch-size=3") == assignment("student.recipe.batch_size=3")


def test_metrics_can_be_named_for_any_task() -> None:
    ours = {"tasks": ["tone", "alike"], "task": {"alike": {"metrics": ["spearman", "mae"]}}}
    tasks = {name: task_of(config) for name, config in resolve([MINI, ours]).tasks.items()}
    assert tasks["tone"] == TASKS["tone"]
    assert (tasks["alike"].metrics, tasks["alike"].select_on) == (("spearman", "mae"), "spearman")
    assert tasks["alike"].chosen
    one = resolve([MINI, {"tasks": ["tone"]}, flags(options(metric=["Accuracy", "F1-macro"]))])
    assert task_of(one.tasks["tone"]).metrics == ("accuracy", "f1_macro")
    assert not task_of(one.tasks["tone"]).chosen
    with pytest.raises(UserError, match="metrics has a value twice"):
        resolve([MINI, {"metrics": ["f1", "F1"]}])
    with pytest.raises(UserError, match="'f1' is not of scores, which mini-alike has"):
        resolve([MINI, flags(options(metric=["f1"], tasks=["alike"]))])


def test_only_a_choice_by_another_metric_changes_what_decides_results() -> None:
    tone = TASKS["tone"]
    same, other = (choose(tone, names) for names in (["accuracy", "ece"], ["f1", "accuracy"]))
    fingerprints = [load(task, limit=50).fingerprint for task in (tone, same, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
