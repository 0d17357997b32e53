"""``bench compare``: the same methods in several runs, paired by seed and example."""

from __future__ import annotations

import json
from pathlib import Path

import click

from bench.cli.command import command
from bench.cli.console import console, show

EXAMPLES = """
\b
Examples:
  bench compare old new
  bench compare results/glue-minilm results/runs/glue-minilm-1a2b3c4d
  bench compare reference machine-a machine-b --out compared
  bench compare old new --format json | jq .comparisons
"""

MARKDOWN, JSON, HTML = "compare.md", "compare.json", "compare.html"


@click.command(epilog=EXAMPLES)
@click.argument("runs", nargs=-1, required=True, metavar="RUN_A RUN_B [RUN...]")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "md", "json"]),
    help="What is printed.  [default: table in a terminal, md in a pipe]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help=f"Folder for {MARKDOWN}, {JSON} and {HTML}.",
)
def compare(runs: tuple[str, ...], form: str | None, out: Path | None) -> None:
    """Compare runs with the first of them: RUN_A is what the others are held against.

    A RUN is a folder or the name of one in results/runs. Students of the same task, method and
    knowledge base are paired on (seed, example), by the outputs beside the cells; runs whose
    labels differ are not comparable and say so. Settings, machines and versions that differ, and
    times and sizes, are shown beside. The exit code is 0 whatever the differences are.
    """
    from bench.records.store import Store
    from bench.report.compare import build
    from bench.report.files import find
    from bench.report.render import markdown
    from bench.report.results import load

    made = build([load(Store(find(run))) for run in runs])
    out_to = console()
    form = form or ("table" if out_to.is_terminal else "md")
    if form == "json":
        click.echo(_json(made.data), nl=False)
    elif form == "md":
        click.echo(markdown.render(made), nl=False)
    else:
        out_to.print(made.title, style="bold")
        out_to.print("", *made.headline, *made.lead, "", sep="\n")
        show(*made.tables)
    if out is not None:
        from bench.report.legacy import of_runs
        from bench.report.render.html import render

        page = render(of_runs(made), command=command())
        _write(out, {MARKDOWN: markdown.render(made), JSON: _json(made.data), HTML: page})
        click.echo(f"wrote {out}: {MARKDOWN}, {JSON}, {HTML}", err=True)


def _json(data: object) -> str:
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _write(folder: Path, texts: dict[str, str]) -> None:
    from bench.records.store import StoreError
    from bench.report.files import put

    try:
        for name, text in texts.items():
            put(folder / name, text)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}") from error
