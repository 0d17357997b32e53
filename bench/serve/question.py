"""What is asked: the body of a request, read whole, checked, and told what to mend."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from http import HTTPStatus
from typing import Any

from bench.serve.limits import ServeLimits
from bench.serve.refusal import RefusalError
from reaugkd.retrieval.saved import Text
from reaugkd.retrieval.texts import TextsError, read_texts

SHAPE = '{"texts": ["one", "another"]}'
PAIRS = '{"texts": [["first", "second"]]}'

DRAINED = 16
"""Bodies as large as allowed that are read and dropped of one that is larger: most clients read an
answer only when they have sent everything."""


async def read_body(chunks: AsyncIterable[bytes], most: int) -> bytes:
    """The body, which has at most ``most`` bytes; a larger one is a RefusalError."""
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size <= most:
            parts.append(chunk)
        elif size > DRAINED * most:
            break
    if size > most:
        raise RefusalError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {most:,} bytes: send the texts in several requests",
            {"Connection": "close"},
        )
    return b"".join(parts)


def require_json(kind: str) -> None:
    """A RefusalError for a Content-Type ``kind`` that is not JSON's.

    A page of another site can send no other without asking first, which this service denies.
    """
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise RefusalError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json"
        )


def read_question(body: bytes, limits: ServeLimits, *, pair: bool | None) -> list[Text]:
    """The texts of a body; ``pair`` as of the classifier. A RefusalError says what to mend."""
    try:
        question = json.loads(body)
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, f"the body is no JSON ({why}): send {SHAPE}"
        ) from error
    shape = PAIRS if pair else SHAPE
    if not isinstance(question, dict) or "texts" not in question:
        raise _unusable(f"expected an object with texts: send {shape}")
    if unknown := sorted(set(question) - {"texts"}):
        raise _unusable(f"unknown field {json.dumps(unknown[0][:40])}: send {shape}")
    texts = question["texts"]
    if not isinstance(texts, list):
        raise _unusable(f"texts is no list: send {shape}")
    if not texts:
        raise _unusable("texts is empty: send at least one text")
    if len(texts) > limits.max_texts:
        raise _unusable(
            f"{len(texts):,} texts are more than {limits.max_texts:,}: send several requests"
        )
    try:
        rows = read_texts(texts, pair=pair)
    except TextsError as error:
        raise _unusable(str(error)) from error
    for place, row in enumerate(rows):
        if (longest := max(map(len, row))) > limits.max_chars:
            raise _unusable(
                f"text {place} has {longest:,} characters, at most {limits.max_chars:,} are taken: "
                "shorten it"
            )
    return rows


def schema(limits: ServeLimits, pair: bool | None) -> dict[str, Any]:
    """The body as OpenAPI describes it."""
    text = {"type": "string", "maxLength": limits.max_chars}
    two = {"type": "array", "items": text, "minItems": 2, "maxItems": 2}
    one_kind = [
        {"type": "array", "items": item, "minItems": 1, "maxItems": limits.max_texts}
        for item, fits in ((text, pair is not True), (two, pair is not False))
        if fits
    ]
    texts = one_kind[0] if len(one_kind) == 1 else {"anyOf": one_kind}
    content: dict[str, Any] = {
        "schema": {
            "type": "object",
            "properties": {"texts": texts},
            "required": ["texts"],
            "additionalProperties": False,
        },
        "examples": {
            name: {"value": json.loads(shape)}
            for name, shape, fits in (
                ("sentences", SHAPE, pair is not True),
                ("pairs", PAIRS, pair is not False),
            )
            if fits
        },
    }
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _unusable(line: str) -> RefusalError:
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, line)
