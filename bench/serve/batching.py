"""Requests that come together are answered together, by one thread, within a deadline."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from reaugkd.errors import UserError
from reaugkd.retrieval.explanation import AnswerExplanation
from reaugkd.retrieval.saved import Text

Explain = Callable[[Sequence[Text]], Sequence[AnswerExplanation]]
"""Answers to texts in their order, all sentences or all pairs."""

Answered = Future[list[AnswerExplanation]]


class QueueFullError(Exception):
    """There is no room for more texts to wait."""


class StoppedError(Exception):
    """Nothing is taken any more."""


@dataclass(frozen=True)
class _Request:
    texts: Sequence[Text]
    answers: Answered = field(default_factory=Future)
    came: float = field(default_factory=time.monotonic)


class BatchQueue:
    """Texts that wait for the one thread that answers them.

    A batch is whole requests, at most ``max_batch`` texts unless its first has more. It is answered
    when it is full or its first request has waited ``max_wait``; one that has waited that long
    while the thread was busy is answered at once, with all that came meanwhile. If a batch cannot
    be answered, its requests are asked one by one: a text that has no answer spoils no other's.

    Args:
        explain: called in the one thread.
        max_batch, max_queue: texts of one call, and that may wait.
        max_wait: seconds.
        seen: told the number of texts of every call.
    """

    def __init__(
        self,
        explain: Explain,
        *,
        max_batch: int,
        max_queue: int,
        max_wait: float,
        seen: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._explain, self._seen = explain, seen
        self._max_batch, self._max_queue, self._max_wait = max_batch, max_queue, max_wait
        self._waiting: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def ready(self) -> bool:
        """Whether texts are taken."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped

    @property
    def waiting(self) -> int:
        """Number of texts that wait."""
        with self._changed:
            return self._texts()

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more, answer what waits, and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def submit(self, texts: Sequence[Text]) -> Answered:
        """The answers to come; one who gives up cancels them.

        Raises:
            QueueFullError: if there is no room to wait.
            StoppedError: after :meth:`stop`.
        """
        request = _Request(texts)
        with self._changed:
            if self._stopped:
                raise StoppedError
            if self._texts() + len(texts) > self._max_queue:
                raise QueueFullError
            self._waiting.append(request)
            self._changed.notify()
        return request.answers

    def _texts(self) -> int:
        return sum(len(request.texts) for request in self._waiting)

    def _work(self) -> None:
        while requests := self._next():
            wanted = [r for r in requests if r.answers.set_running_or_notify_cancel()]
            # A classifier that does not know which it takes may be asked both.
            for width in sorted({len(request.texts[0]) for request in wanted}):
                self._answer([r for r in wanted if len(r.texts[0]) == width])

    def _next(self) -> list[_Request]:
        """The requests of the next batch; none when all is done."""
        with self._changed:
            while not self._waiting:
                if self._stopped:
                    return []
                self._changed.wait()
            ends = self._waiting[0].came + self._max_wait
            while not self._stopped and self._texts() < self._max_batch:
                if not self._changed.wait(ends - time.monotonic()):
                    break
            batch = [self._waiting.popleft()]
            total = len(batch[0].texts)
            while self._waiting and total + len(self._waiting[0].texts) <= self._max_batch:
                batch.append(self._waiting.popleft())
                total += len(batch[-1].texts)
            return batch

    def _answer(self, requests: list[_Request]) -> None:
        texts = [text for request in requests for text in request.texts]
        self._seen(len(texts))
        try:
            answers = list(self._explain(texts))
        except UserError as error:
            if len(requests) == 1:
                requests[0].answers.set_exception(error)
            else:
                for request in requests:
                    self._answer([request])
        except Exception as error:  # noqa: BLE001  (the thread serves the others; it is told of)
            for request in requests:
                request.answers.set_exception(error)
        else:
            start = 0
            for request in requests:
                request.answers.set_result(answers[start : start + len(request.texts)])
                start += len(request.texts)
