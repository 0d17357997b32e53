"""What a plan can see, and how long it takes here, by the cells of finished runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress

from bench.cli.console import show
from bench.cli.session import Session
from bench.progress import past
from bench.progress.course import Course
from bench.records import provenance
from bench.records.results import Results, load
from bench.records.store import Store, StoreError
from bench.report import outlook
from bench.report.files import find
from bench.report.inputs import RunInputs
from bench.report.outlook import Aims, Outlook
from bench.report.pilots import Pilot, pilots
from bench.stats.power import FEWEST


def tell(session: Session, names: Sequence[str]) -> None:
    """Print what the plan of a session can see by pilot cells, and how long the rest takes.

    Args:
        session: what it has finished itself counts too.
        names: of runs whose cells are pilots.

    Raises:
        UserError: a run that is not there.
    """
    finished = [load(Store(find(name))) for name in names]
    folders = {results.folder.resolve() for results in finished}
    with suppress(StoreError):  # nothing has been run there
        if session.todo and session.store.folder.resolve() not in folders:
            finished.append(load(session.store))
    _seen(session, finished, bool(names))
    if not session.todo:
        return
    here = provenance.collect(session.command, os.getloadavg(), session.config.device)
    configs = session.tasks.values()
    took = [work for results in finished for work in past.works(results, here, configs)]
    course = Course(session.planned, session.todo, (), session.works, session.workers, took)
    if estimate := course.left():
        session.console.print(f"{estimate}, as such cells took on this machine")
    elif names:
        session.console.print(
            "no estimate of the time: no pilot cell of these models was made on a machine like "
            f"this ({here.cpu}, threads {here.threads})"
        )


def _seen(session: Session, finished: Iterable[Results], named: bool) -> None:
    """The tables; of a run that nobody named only what can be used."""
    found = [pilot for run in finished for pilot in pilots(RunInputs(run))]
    seen: list[Outlook] = []
    useless: list[Pilot] = []
    aims = Aims()
    for task, config in session.tasks.items():
        meant = [p for p in found if p.task == task and {p.method, p.theirs} <= {*config.methods}]
        tests = session.workbench.pipeline(config).rows.data.tests
        rows, seeds = len(next(iter(tests.values()))), max(FEWEST, len(config.seeds))
        seen += outlook.outlooks(meant, [rows], [seeds], aims)
        useless += [pilot for pilot in meant if pilot.spread is None]
        if named and not meant:
            session.console.print(f"{task}: no pilot cells, so what it can see is not known")
    show(*outlook.seen_tables(seen, aims))
    if seen and len(session.config.seeds) < FEWEST:
        session.console.print(f"One seed has no test: this is what {FEWEST} seeds could see.")
    if named:
        show(*outlook.useless_tables(useless))
