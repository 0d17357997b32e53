"""Every shipped preset loads, fits all of its tasks and names only what exists."""

from __future__ import annotations

import pytest

from baselines import METHODS
from bench import layers, settings
from reaugkd.distiller import KDSettings
from reaugkd.retrieval import ann
from reaugkd.tasks import TASKS

PRESETS = layers.names("preset")
OWN = {"tasks": ["tone"]}
"""What a preset for rows of one's own is tried with."""


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> settings.Resolved:
    flags = OWN if request.param == "own" else {}
    return settings.resolve([layers.read("preset", request.param), flags])


def test_it_names_only_what_is_registered(preset: settings.Resolved) -> None:
    config = preset.whole
    assert set(config.methods) <= set(METHODS)
    assert set(config.tasks) | set(config.task) <= set(TASKS)
    assert set(config.settings) <= set(METHODS)
    assert {ann.canonical(spec) for spec in config.retrieval.ann} == set(config.retrieval.ann)


def test_it_resolves_for_each_of_its_tasks(preset: settings.Resolved) -> None:
    assert list(preset.tasks) == list(preset.whole.tasks)
    for task, config in preset.tasks.items():
        assert config.tasks == (task,)
        for name, kind in ((name, METHODS[name]) for name in config.methods):
            kind.Settings.model_validate(config.settings.get(name, {}))


def test_teacher_and_student_share_their_length_and_the_tokenizers_limit(
    preset: settings.Resolved,
) -> None:
    for config in preset.tasks.values():
        for model in (config.teacher.model, config.student.model):
            if model.source == "config":
                assert (model.config or {})["max_position_embeddings"] >= config.data.max_length


def test_what_a_preset_is_recorded_as_reads_back_the_same(preset: settings.Resolved) -> None:
    whole = preset.whole
    assert type(whole).model_validate(whole.model_dump(mode="json")) == whole


def test_what_is_compared_with_kd_has_its_soft_term(preset: settings.Resolved) -> None:
    """Otherwise a difference may be that of a temperature."""
    for task, config in preset.tasks.items():
        soft = {
            name: METHODS[name].Settings.model_validate(config.settings_of(name)).model_dump()
            for name in ("kd", "knn-kd", "reaugkd", "reaugkd-r")
        }
        for name, values in soft.items():
            assert {field: values[field] for field in KDSettings.model_fields} == soft["kd"], (
                task,
                name,
            )


def test_every_anchor_of_rco_has_an_epoch(preset: settings.Resolved) -> None:
    for task, config in preset.tasks.items():
        anchors = METHODS["rco"].Settings.model_validate(config.settings_of("rco")).anchors
        assert len(anchors) <= config.student.recipe.epochs, task
