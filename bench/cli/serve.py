"""``bench serve``: a saved classifier behind HTTP."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from bench.cli.options import UserPath
from bench.serve.limits import ServeLimits
from reaugkd.errors import MissingLibraryError

LIBRARIES = ("fastapi", "uvicorn", "prometheus_client")
EXTRA = "serve"


def _names(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of hosts; a port in one would never be met."""
    for value in values:
        if not value or "/" in value or value.count(":") == 1:
            message = f"'{value}': expected a name without port, e.g. texts.example.org"
            raise click.BadParameter(message, context, parameter)
    return values


@click.command()
@click.argument("folder", type=UserPath())
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any."
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    callback=_names,
    help="Another name it goes by, e.g. behind a proxy.",
)
@click.option("--threads", type=click.IntRange(1), help="Most torch threads.  [default: cores]")
@click.option(
    "--max-wait",
    type=click.FloatRange(0, 10_000),
    default=ServeLimits.max_wait,
    show_default=True,
    help="Milliseconds that a text waits for others.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1),
    default=ServeLimits.max_batch,
    show_default=True,
    help="Texts of one pass.",
)
@click.option(
    "--max-queue",
    type=click.IntRange(1),
    default=ServeLimits.max_queue,
    show_default=True,
    help="Texts that may wait.",
)
@click.option(
    "--max-texts",
    type=click.IntRange(1),
    default=ServeLimits.max_texts,
    show_default=True,
    help="Texts of a request.",
)
@click.option(
    "--max-chars",
    type=click.IntRange(1),
    default=ServeLimits.max_chars,
    show_default=True,
    help="Characters of a text.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1),
    default=ServeLimits.max_body,
    show_default=True,
    help="Bytes of a request.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=ServeLimits.timeout,
    show_default=True,
    help="Seconds of a request.",
)
def serve(
    folder: Path,
    host: str,
    port: int,
    hosts: tuple[str, ...],
    threads: int | None,
    **limits: float,
) -> None:
    """Answer over HTTP with the classifier that was saved in FOLDER.

    POST /predict and /explain, GET /health, /metrics and /openapi.json, and a page to try it at /.
    Logs are JSON lines on standard error, without texts. SIGTERM and Ctrl-C end it when the
    requests that run are answered.

    \b
    Examples:
      bench serve bank-classifier
      bench serve bank-classifier --host 0.0.0.0 --allow-host texts.example.org --threads 2
      curl -H 'Content-Type: application/json' -d '{"texts": ["my card is lost"]}' \\
        localhost:8000/predict
    """  # noqa: D301  (click's paragraph mark)
    from bench.serve import listen
    from reaugkd.retrieval.saved import read_settings

    read_settings(folder)
    chosen = ServeLimits(**limits)  # type: ignore[arg-type]  # click has made them ints
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise MissingLibraryError(library, EXTRA)
    with listen.listen(host, port) as listening:
        from bench.serve import app, logs

        logs.to(sys.stderr)
        service = app.make(app.load(folder, threads), folder.resolve().name, chosen, (host, *hosts))
        logs.tell("listening", url=listen.url(listening), model=folder.resolve().name)
        listen.serve(service, listening, chosen.timeout)
        logs.tell("stopped")
