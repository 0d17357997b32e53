"""Laws of batches: whole requests, in time, none spoiled by another, none forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from bench.serve.batching import BatchQueue, QueueFullError, StoppedError
from reaugkd.errors import UserError

LONG = 30.0
"""Seconds that nothing here may take."""


class Echo:
    """Answers a text with itself; refuses "bad", breaks at "broken", waits for ``go`` at "wait"."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go, self.waits = threading.Event(), threading.Event()

    def __call__(self, texts: Sequence[tuple[str, ...]]) -> list[Any]:
        words = [" ".join(text) for text in texts]
        self.calls.append(words)
        if "wait" in words:
            self.waits.set()
            assert self.go.wait(LONG)
        if "broken" in words:
            raise ZeroDivisionError
        if "bad" in words:
            raise UserError(f"text {words.index('bad')} is bad")
        return words


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def queue(echo: Echo) -> Iterator[BatchQueue]:
    made = BatchQueue(echo, max_batch=4, max_queue=12, max_wait=0.0)
    yield made
    echo.go.set()
    made.stop()


def ask(queue: BatchQueue, *words: str) -> Any:
    return queue.submit([(word,) for word in words])


def test_requests_that_wait_are_answered_together_whole_and_in_order(
    queue: BatchQueue, echo: Echo
) -> None:
    asked = [ask(queue, *words) for words in ("ab", "c", "def", "g", "hijkl")]
    queue.start()
    told = ["".join(answers.result(LONG)) for answers in asked]
    assert told == ["ab", "c", "def", "g", "hijkl"]
    assert ["".join(call) for call in echo.calls] == ["abc", "defg", "hijkl"]


def test_what_comes_while_it_works_is_the_next_batch(queue: BatchQueue, echo: Echo) -> None:
    queue.start()
    first = ask(queue, "wait")
    assert echo.waits.wait(LONG)
    others = [ask(queue, word) for word in "abc"]
    assert queue.waiting == 3
    echo.go.set()
    assert [answers.result(LONG) for answers in (first, *others)] == [["wait"], *map(list, "abc")]
    assert echo.calls == [["wait"], ["a", "b", "c"]]


def test_a_batch_waits_for_others_until_it_is_full_or_the_deadline_comes(echo: Echo) -> None:
    queue = BatchQueue(echo, max_batch=2, max_queue=9, max_wait=LONG)
    queue.start()
    asked = [ask(queue, "a")]
    time.sleep(0.05)
    assert not echo.calls
    asked += [ask(queue, "b")]
    assert [answers.result(LONG / 2) for answers in asked] == [["a"], ["b"]]
    last = ask(queue, "c")
    queue.stop()  # a stop waits for nobody
    assert last.result(0) == ["c"]
    quick = BatchQueue(echo, max_batch=2, max_queue=9, max_wait=0.02)
    quick.start()
    assert ask(quick, "d").result(LONG) == ["d"]
    quick.stop()
    assert echo.calls == [["a", "b"], ["c"], ["d"]]


def test_a_text_without_an_answer_spoils_no_other_request(queue: BatchQueue, echo: Echo) -> None:
    asked = [ask(queue, *words) for words in (["a"], ["b", "bad"], ["c"])]
    queue.start()
    assert (asked[0].result(LONG), asked[2].result(LONG)) == (["a"], ["c"])
    with pytest.raises(UserError, match="text 1 is bad"):  # its place in its own request
        asked[1].result(LONG)


def test_a_defect_ends_its_requests_and_not_the_thread(queue: BatchQueue) -> None:
    queue.start()
    with pytest.raises(ZeroDivisionError):
        ask(queue, "broken").result(LONG)
    assert queue.ready
    assert ask(queue, "a").result(LONG) == ["a"]


def test_who_has_given_up_is_not_answered(queue: BatchQueue, echo: Echo) -> None:
    given_up, other = ask(queue, "a"), ask(queue, "b")
    assert given_up.cancel()
    queue.start()
    assert other.result(LONG) == ["b"]
    assert echo.calls == [["b"]]


def test_there_is_an_end_to_waiting_texts(queue: BatchQueue) -> None:
    asked = [ask(queue, *"abcdef"), ask(queue, *"ghijk")]
    with pytest.raises(QueueFullError):
        ask(queue, *"lm")
    asked.append(ask(queue, "l"))
    queue.start()
    assert sum(len(answers.result(LONG)) for answers in asked) == 12


def test_sentences_and_pairs_are_never_in_one_batch(queue: BatchQueue, echo: Echo) -> None:
    asked = [queue.submit([text]) for text in (("a",), ("b", "c"), ("d",))]
    queue.start()
    assert [answers.result(LONG) for answers in asked] == [["a"], ["b c"], ["d"]]
    assert echo.calls == [["a", "d"], ["b c"]]


def test_a_stop_answers_what_waits_and_takes_no_more(queue: BatchQueue) -> None:
    asked = [ask(queue, word) for word in "abcdef"]
    assert not queue.ready
    queue.start()
    queue.stop()
    assert [answers.result(0) for answers in asked] == [[word] for word in "abcdef"]
    assert not queue.ready
    with pytest.raises(StoppedError):
        ask(queue, "g")
