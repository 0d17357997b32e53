"""The lookup of tasks and what importing it costs."""

import pytest

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.tasks import TASKS, get_task, load, metrics, task_names


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
