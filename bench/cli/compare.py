"""``bench compare``: the same methods in several runs, paired by seed and example."""

from __future__ import annotations

from pathlib import Path, PurePath

import click

from bench.cli.command import command
from bench.cli.console import echo, printed, written
from bench.cli.options import UserPath

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
    type=UserPath(file_okay=False),
    help=f"Folder for {MARKDOWN}, {JSON} and {HTML}.",
)
def compare(runs: tuple[str, ...], form: str | None, out: Path | None) -> None:
    """Compare runs with the first of them: RUN_A is what the others are held against.

    A RUN is a folder or the name of one in results/runs. Students of the same task, method and
    knowledge base are paired on (seed, example), by the outputs beside the cells; runs whose
    labels differ are not comparable and say so. Settings, machines and versions that differ, and
    times and sizes, are shown beside. The exit code is 0 whatever the differences are.
    """
    from bench.records.results import load
    from bench.records.store import Store
    from bench.report.compare import build
    from bench.report.compared import CompareInputs
    from bench.report.files import find, write
    from bench.report.render import markdown
    from bench.report.render.data import json_text

    report = build(CompareInputs([load(Store(find(run))) for run in runs]))
    paths = None
    if out is not None:
        from bench.report.render.html import render

        contents = [
            (PurePath(MARKDOWN), markdown.render(report)),
            (PurePath(JSON), json_text(report.data)),
            (PurePath(HTML), render(report, command=command())),
        ]
        paths = write(out, contents)
    if form == "json":
        echo(json_text(report.data))
    else:
        echo(printed(report, as_markdown=None if form is None else form == "md"))
    if out is not None and paths is not None:
        written("wrote", out, paths)
