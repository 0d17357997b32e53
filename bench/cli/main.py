"""``bench``: subcommands are imported when used; a user's mistake is one line, exit code 2."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from bench.cli.streams import make_safe
from reaugkd import __version__
from reaugkd.artifacts.disk import is_full
from reaugkd.errors import UserError
from reaugkd.registry import Entry, Registry

MISTAKE, INTERRUPTED = 2, 130
"""Exit codes: something the user can mend; Ctrl-C."""

COMMANDS: Registry[click.Command] = Registry(
    "command",
    {
        "run": Entry("bench.cli.run:run", "Train, distil and retrieve: every cell of the matrix."),
        "report": Entry("bench.cli.report:report", "Show and write the tables of a run."),
        "latency": Entry("bench.cli.latency:latency", "Time what retrieval adds to a forward."),
        "memory": Entry("bench.cli.memory:memory", "Weigh a knowledge base behind each backend."),
        "gate": Entry("bench.cli.gate:gate", "Hold the overhead to a limit, by exit code."),
        "export": Entry("bench.cli.export:export", "Save a finished student with its retrieval."),
        "submit": Entry("bench.cli.submit:submit", "Write a run's answers for the GLUE server."),
        "base": Entry("bench.cli.base:base", "List, add or remove entries of a saved base."),
        "serve": Entry("bench.cli.serve:serve", "Answer over HTTP with a saved classifier."),
        "compare": Entry("bench.cli.compare:compare", "Compare runs, paired by seed and example."),
        "power": Entry("bench.cli.power:power", "Tell what a plan can see, by pilot cells."),
        "merge": Entry("bench.cli.merge:merge", "Copy the cells of several runs into one."),
        "ls": Entry("bench.cli.ls:ls", "List methods, tasks, ANN backends and presets."),
    },
)


class LazyGroup(click.Group):
    """A group whose help imports no subcommand.

    What a subcommand returns becomes the exit code if it is an int.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        return COMMANDS[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that ``args`` begin with, or its nearest name in the error."""
        return super().resolve_command(ctx, [COMMANDS.resolve(args[0]), *args[1:]])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries of the registry."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS.entry(name).summary) for name in COMMANDS])

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run and exit; only a defect of this project shows a traceback."""
        extra["standalone_mode"] = False
        make_safe()
        try:
            result = super().main(*args, **extra)
        except UserError as error:
            _fail(str(error), MISTAKE)
        except click.UsageError as error:
            see = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            _fail(error.format_message() + see, MISTAKE)
        except click.ClickException as error:
            _fail(error.format_message(), MISTAKE)
        except (click.Abort, KeyboardInterrupt):
            _fail("interrupted; the same command resumes where it stopped", INTERRUPTED)
        except OSError as error:
            if not is_full(error):
                raise
            _fail(f"disk full: {error.filename or 'the folder that was written to'}", MISTAKE)
        sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "max_content_width": 100,
    },
)
@click.version_option(__version__, message="reaugkd %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Distil BERT-like classifiers, with and without retrieval, and measure what it brings.

    \b
    Examples:
      bench run                          the embedded suite, nothing to download
      bench run --methods reaugkd,kd --ann hnswlib,faiss
      bench run --preset glue-minilm --tasks mrpc --data-dir GLUE --seeds 0,1,2
      bench run --dry-run                how many cells, and which are there already
      bench report                       the tables of the newest run
      bench latency --bases mrpc,sst2 --ann exact,hnswlib,auto --batch 1,32
      bench gate --bases mrpc --ann auto --max-overhead 3%
      bench serve tone-classifier        the page at http://127.0.0.1:8000/
      bench power RUN --rows 20000       the difference that a plan can see
      bench compare RUN_A RUN_B          what differs, and whether it holds
      bench ls methods --verbose         every setting, its default and its source
    """  # noqa: D301  (click's paragraph mark)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
