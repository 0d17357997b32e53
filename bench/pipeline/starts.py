"""What the models of a run start from, layer by layer."""

from __future__ import annotations

from bench.config import RunConfig
from reaugkd.artifacts import fingerprint
from reaugkd.models import layers
from reaugkd.models.spec import ModelSpec


def explicit(config: RunConfig) -> RunConfig:
    """``config`` with numbers in the place of rules, so that both stand for the same cells.

    A variant may leave the number of its layers to the run's student. In an ablation a variant that
    then is the method itself, or another variant of it, is left out.

    Raises:
        ModelError: if there are fewer layers than are asked for, or a depth cannot be read.
    """
    starts = {name: v.student for name, v in config.variant.items() if v.student is not None}
    specs = (config.teacher.model, config.student.model, *starts.values())
    if not any(isinstance(spec.layers, str) for spec in specs):
        return config
    teacher = config.teacher.model.explicit()
    student = config.student.model.explicit(teacher)

    def start(spec: ModelSpec) -> ModelSpec:
        if isinstance(spec.layers, str):
            wanted = layers.counted(spec.layers, student.kept(teacher))
            spec = spec.model_copy(update={"layers": wanted})
        return spec.explicit(teacher)

    variants = dict(config.variant)
    for name, spec in starts.items():
        variants[name] = variants[name].model_copy(update={"student": start(spec)})
    models = {
        "teacher": config.teacher.model_copy(update={"model": teacher}),
        "student": config.student.model_copy(update={"model": student}),
    }
    resolved = config.model_copy(update={**models, "variant": variants})
    return resolved if config.ablation is None else _without_repeats(resolved)


def _without_repeats(config: RunConfig) -> RunConfig:
    """The first of methods that are the same but for their name, all others as they are."""
    first: dict[str, str] = {}
    for method in config.methods:
        start = config.student_of(method).model_dump(mode="json")
        same = [config.base(method), config.settings_of(method), start]
        first.setdefault(fingerprint.of_json(same), method)
    return config.model_copy(update={"methods": tuple(first.values())})
