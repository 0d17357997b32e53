"""Laws of the measuring loop, on a clock that only moves when told to."""

from __future__ import annotations

import gc

import pytest

from bench.measure.timing import interleaved, quiet_gc

ADDED, BETWEEN = 7, 10_000


class World:
    """A forward takes as long as its batch says, retrieval 7 ns, and every call is written down."""

    def __init__(self) -> None:
        self.now = 0
        self.calls: list[str] = []

    def clock(self) -> int:
        return self.now

    def forward(self, batch: int) -> int:
        self.calls.append(f"forward {batch}")
        self.now += batch
        return batch

    def added(self, output: int) -> None:
        self.calls.append(f"added {output}")
        self.now += ADDED

    def between(self, number: int, output: int) -> None:
        self.calls.append(f"between {number}")
        self.now += BETWEEN


def test_each_lap_is_the_time_of_its_own_part() -> None:
    world = World()
    laps = interleaved(
        [100, 20], world.forward, world.added, rounds=3, warmup=1, clock=world.clock,
        between=world.between,
    )  # fmt: skip
    assert laps.forward.tolist() == laps.plain.tolist() == [[100, 20]] * 3
    assert laps.added.tolist() == [[ADDED, ADDED]] * 3


def test_the_order_of_plain_and_augmented_alternates_by_round_and_batch() -> None:
    world = World()
    interleaved([1, 2], world.forward, world.added, rounds=2, warmup=0, clock=world.clock)
    plain, augmented = "forward {}", "forward {0} added {0}"
    order = [(augmented, 1), (plain, 1), (plain, 2), (augmented, 2)]
    order += [(plain, 1), (augmented, 1), (augmented, 2), (plain, 2)]
    assert " ".join(world.calls) == " ".join(kind.format(batch) for kind, batch in order)


def test_the_embedding_is_replaced_before_retrieval_and_never_for_a_plain_forward() -> None:
    world = World()
    interleaved(
        [5], world.forward, world.added, rounds=2, warmup=0, between=world.between,
        clock=world.clock,
    )  # fmt: skip
    assert " ".join(world.calls).count("forward 5 between 0 added 5") == 2
    assert world.calls.count("between 0") == 2


def test_what_only_the_first_calls_pay_is_in_no_lap() -> None:
    world = World()
    first = {1: 1_000, 2: 1_000}

    def forward(batch: int) -> int:
        world.now += first.pop(batch, 0)
        return world.forward(batch)

    laps = interleaved([1, 2], forward, world.added, rounds=1, warmup=3, clock=world.clock)
    assert laps.forward.tolist() == laps.plain.tolist() == [[1, 2]]


@pytest.mark.parametrize(("batches", "rounds"), [([], 1), ([1], 0)])
def test_nothing_to_measure_is_an_error(batches: list[int], rounds: int) -> None:
    world = World()
    with pytest.raises(ValueError, match="nothing to measure"):
        interleaved(batches, world.forward, world.added, rounds=rounds, warmup=1)


@pytest.mark.parametrize("enabled", [True, False])
def test_no_collection_runs_inside_and_the_collector_is_as_before_afterwards(enabled: bool) -> None:
    inside: list[tuple[bool, bool]] = []

    def fail() -> None:
        with quiet_gc():
            inside.append((gc.isenabled(), gc.get_freeze_count() > 0))
            raise KeyError

    gc.unfreeze()  # what the tests froze
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError):
            fail()
        assert inside == [(False, True)]
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
    finally:
        gc.enable()
