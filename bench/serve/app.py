"""The service: what is asked at which path, over one classifier."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import transformers
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from bench.executors.quiet import limit_threads
from bench.serve import answers, front, logs
from bench.serve.batching import BatchQueue, QueueFullError, StoppedError
from bench.serve.limits import ServeLimits
from bench.serve.metrics import CONTENT_TYPE, Meters
from bench.serve.question import read_body, read_question, require_json, schema
from bench.serve.refusal import RefusalError
from reaugkd import __version__
from reaugkd.errors import UserError
from reaugkd.paths import expanded
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.explanation import AnswerExplanation
from reaugkd.retrieval.saved import Text

PAGE = Path(__file__).with_name("page.html")
RETRY = {"Retry-After": "1"}
TAKES = {False: "sentences", True: "pairs", None: "either"}
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"model": answers.Refused, "description": words}
    for status, words in (
        (400, "The body is no JSON."),
        (408, "The body did not come in time."),
        (413, "The body is too large."),
        (415, "The body does not say that it is JSON."),
        (422, "There is something to mend in the texts."),
        (503, "Too much is asked at once: come back in Retry-After seconds."),
        (504, "The answer took too long."),
    )
}


def make(
    classifier: RetrievalAugmentedClassifier,
    name: str,
    limits: ServeLimits | None = None,
    hosts: Iterable[str] = (),
) -> ASGIApp:
    """The service as an ASGI application; its thread lives from startup to shutdown.

    Args:
        classifier: asked by one thread only.
        name: how the health of the service calls it.
        limits: the default ones if None.
        hosts: names that it goes by, beside those of loopback.
    """
    limits = limits or ServeLimits()
    queue = BatchQueue(
        lambda rows: _explain(classifier, rows, limits.max_batch),
        max_batch=limits.max_batch,
        max_queue=limits.max_queue,
        max_wait=limits.max_wait / 1000,
        seen=lambda texts: meters.batch(texts),
    )
    entries, pair = len(classifier.knowledge_base), classifier.pair
    meters = Meters(lambda: queue.waiting, entries)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.start()
        yield
        await asyncio.to_thread(queue.stop)

    app = FastAPI(
        title="reaugkd",
        summary="A student that looks things up: decisions, and whom they come from.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )

    @app.exception_handler(RefusalError)
    async def refuse(_: Request, error: RefusalError) -> JSONResponse:
        response = front.refused(error.status, error.line)
        response.headers.update(error.headers)
        return response

    @app.exception_handler(HTTPException)
    async def unserved(_: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        response = front.refused(status, f"{status.phrase.lower()}: /openapi.json says what is")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return front.broken()  # the front tells the log, which sees it too

    def path(route: str, about: str, model: type[BaseModel]) -> Callable[[Any], Any]:
        """The decorator of a path that takes texts."""
        more: dict[str, Any] = {"openapi_extra": schema(limits, pair), "summary": about}
        return app.post(route, responses={200: {"model": model}, **REFUSED}, **more)

    @path("/predict", "Label, probabilities and neighbours of every text.", answers.Predictions)
    async def predict(request: Request) -> Response:
        told = await _answers(request, queue, limits, pair)
        return await asyncio.to_thread(_json, answers.predictions, told, classifier.labels)

    @path("/explain", "The same, with what the neighbours say.", answers.Explanations)
    async def explain(request: Request) -> Response:
        told = await _answers(request, queue, limits, pair)
        return await asyncio.to_thread(_json, answers.explanations, told, classifier.labels)

    @app.head("/health", include_in_schema=False)
    @app.get("/health", summary="Whether texts are taken.", response_model=answers.Health)
    async def health() -> Response:
        about = answers.Health(
            ready=queue.ready, model=name, entries=entries, takes=TAKES[pair], version=__version__
        )
        status = HTTPStatus.OK if about.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(about.model_dump_json(), status, media_type="application/json")

    @app.get("/metrics", summary="Metrics for Prometheus.", response_class=Response)
    async def metrics() -> Response:
        return Response(meters.shown(), media_type=CONTENT_TYPE)

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(PAGE.read_bytes())

    paths = ("/", "/predict", "/explain", "/health", "/metrics", "/openapi.json")
    names = {*front.LOOPBACK, *(host.lower() for host in hosts)}
    return front.Front(app, names, paths, meters.request)


def of_folder(
    folder: str,
    *,
    hosts: Sequence[str] = (),
    threads: int | None = None,
    limits: dict[str, Any] | None = None,
) -> ASGIApp:
    """The service over a saved classifier, for a server of your own; it logs to standard error.

    Args:
        folder: what ``bench export`` or ``save_pretrained`` wrote.
        hosts: names that it goes by, beside those of loopback.
        threads: of torch, at most; those of this process's cores by default.
        limits: fields of :class:`ServeLimits`.
    """
    logs.to(sys.stderr)
    return make(load(folder, threads), expanded(folder).name, ServeLimits(**limits or {}), hosts)


def load(folder: Path | str, threads: int | None) -> RetrievalAugmentedClassifier:
    """The classifier in ``folder``, with at most ``threads`` of torch and as many of its index."""
    # Its bars are no JSON. (What silences runs too imports datasets, which serving never needs.)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    limit_threads(threads)
    return RetrievalAugmentedClassifier.from_pretrained(folder, threads=threads or 1)


def _explain(
    classifier: RetrievalAugmentedClassifier, rows: Sequence[Text], batch: int
) -> list[AnswerExplanation]:
    return classifier.explain_all([row[0] if len(row) == 1 else row for row in rows], batch)


async def _answers(
    request: Request, queue: BatchQueue, limits: ServeLimits, pair: bool | None
) -> list[AnswerExplanation]:
    """The answers to a request, or the RefusalError that says why there are none."""
    require_json(request.headers.get("content-type", ""))
    try:
        async with asyncio.timeout(limits.timeout):
            body = await read_body(request.stream(), limits.max_body)
    except TimeoutError as error:
        line = f"the body did not come within {limits.timeout:g} seconds"
        closed = {"Connection": "close"}
        raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, line, closed) from error
    except ClientDisconnect as error:
        raise RefusalError(HTTPStatus.BAD_REQUEST, "the body ended early") from error
    texts = read_question(body, limits, pair=pair)
    request.state.texts = len(texts)
    try:
        async with asyncio.timeout(limits.timeout):
            return await asyncio.wrap_future(queue.submit(texts))
    except QueueFullError as error:
        line = "too many texts wait already: come back in a second"
        raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, line, RETRY) from error
    except StoppedError as error:
        line = "the service is stopping: come back in a second"
        raise RefusalError(HTTPStatus.SERVICE_UNAVAILABLE, line, RETRY) from error
    except TimeoutError as error:
        line = f"no answer within {limits.timeout:g} seconds: send fewer or shorter texts"
        raise RefusalError(HTTPStatus.GATEWAY_TIMEOUT, line) from error
    except UserError as error:
        raise RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


def _json(
    written: Callable[[Sequence[AnswerExplanation], Sequence[str]], BaseModel],
    told: Sequence[AnswerExplanation],
    names: Sequence[str],
) -> Response:
    """Answers as they are ``written``; many of many classes take a while, in a thread of theirs."""
    return Response(written(told, names).model_dump_json(), media_type="application/json")
