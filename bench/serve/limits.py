"""What the service takes on, so that no request can keep it from the others."""

from __future__ import annotations

from dataclasses import dataclass

from reaugkd.errors import UserError


@dataclass(frozen=True)
class ServeLimits:
    """The limits of requests, batches and waiting.

    Attributes:
        max_texts: texts, or pairs of them, of one request.
        max_chars: characters of one text; what the student reads of it is cut by its own length.
        max_body: bytes of one request's body.
        max_batch: texts of one pass through the student.
        max_wait: milliseconds that a text may wait for others to share its batch.
        max_queue: texts that may wait; beyond it a request is told to come back.
        timeout: seconds after which a request is given up.

    Raises:
        UserError: if a request that is allowed could never be taken.
    """

    max_texts: int = 256
    max_chars: int = 20_000
    max_body: int = 2**20
    max_batch: int = 32
    max_wait: float = 2.0
    max_queue: int = 1024
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if self.max_queue < self.max_texts:
            raise UserError(
                f"--max-queue {self.max_queue} is less than --max-texts {self.max_texts}: a full "
                "request would never be taken"
            )
