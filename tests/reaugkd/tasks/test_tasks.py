"""The lookup of tasks and what importing it costs."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from reaugkd import tasks
from reaugkd.errors import DataError, UnknownNameError, UserError
from reaugkd.registry import Registry
from reaugkd.tasks import TASKS, TaskPlugin, get_task, load, metrics, mini, task_names


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2", "Sst-2"])
def test_a_task_is_found_however_its_name_is_written(name):
    assert get_task(name).name == "sst2"


@pytest.mark.parametrize("name", task_names())
def test_every_task_is_consistent(name):
    task = TASKS[name]
    assert task.name == name == get_task(task.title.removeprefix("mini-")).name
    assert task.select_on in task.metrics
    assert set(task.metrics) <= set(metrics.METRICS)
    assert task.regression == (task.value_range is not None)
    assert task.outputs == (1 if task.regression else len(set(task.labels)))


def test_the_suites_are_glue_of_nine_and_mini_of_three():
    assert " ".join(task_names("glue")) == "cola sst2 mrpc stsb rte wnli qnli qqp mnli"
    assert len(task_names("mini")) == 3
    assert set(task_names()) == {*task_names("glue"), *task_names("mini")}


def test_an_unknown_task_or_suite_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'sst2'"):
        get_task("sst3")
    with pytest.raises(UnknownNameError, match="did you mean 'glue'"):
        task_names("glu")


def test_an_impossible_limit_is_refused():
    with pytest.raises(UserError, match="at least 1, found 0"):
        load("tone", limit=0)


TONE = replace(mini.TASKS["tone"], name="mine", title="Mine", suite="mine")
GOOD = TaskPlugin(TONE, lambda: replace(mini.corpus(mini.TASKS["tone"]), task=TONE))
OTHER_SPLITS = TaskPlugin(TONE, lambda: replace(GOOD.corpus(), tests={}))
OTHER_NAME = TaskPlugin(replace(TONE, name="yours"), GOOD.corpus)


@pytest.fixture
def installed(monkeypatch):
    """Installs entry points: name -> what it names in this module."""

    def install(**points):
        def entry_points(group):
            assert group == "reaugkd.tasks"
            package = SimpleNamespace(name="my-tasks")
            return [
                SimpleNamespace(name=name, value=f"{__name__}:{target}", dist=package)
                for name, target in points.items()
            ]

        monkeypatch.setattr("reaugkd.registry.entry_points", entry_points)
        monkeypatch.setattr(tasks, "PLUGINS", Registry("task", {}, group="reaugkd.tasks"))
        monkeypatch.setitem(sys.modules, __name__, SELF)

    return install


SELF = SimpleNamespace(GOOD=GOOD, OTHER_SPLITS=OTHER_SPLITS, OTHER_NAME=OTHER_NAME)


def test_a_task_of_another_package_is_one_like_ours(installed):
    installed(mine="GOOD", tone="GOOD")
    assert get_task("Mine") is TONE
    assert TASKS["tone"] is mini.TASKS["tone"]  # ours cannot be replaced
    assert list(TASKS)[-1] == "mine"
    assert (TASKS.package("mine"), TASKS.package("tone")) == ("from my-tasks", None)
    rows, ours = load("mine"), load("tone")
    assert (rows.task, rows.fit["text_a"][:3]) == (TONE, ours.fit["text_a"][:3])
    assert rows.fingerprint != ours.fingerprint


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("NOWHERE", "'mine' from my-tasks cannot be loaded: AttributeError"),
        ("OTHER_NAME", "'mine' from my-tasks is no TaskPlugin with a task of that name"),
    ],
)
def test_a_task_that_cannot_be_loaded_names_its_package(target, words, installed):
    installed(mine=target)
    with pytest.raises(UserError, match=words):
        get_task("mine")
    assert get_task("tone") is mini.TASKS["tone"]


def test_rows_that_are_not_those_of_the_task_are_refused(installed):
    installed(mine="OTHER_SPLITS")
    with pytest.raises(DataError, match=r"Mine: test splits \[\], expected \['dev'\]"):
        load("mine")
