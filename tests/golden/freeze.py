"""Command that freezes the reports of a checkout; the README beside it says when.

Run it in the root of the repository: ``python -m tests.golden.freeze [CHECKOUT]``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.report import frozen_source


def main(checkout: Path) -> None:
    """Make every report with the code of ``checkout`` and write its frozen copy."""
    for name in frozen_source.COMMANDS:
        with TemporaryDirectory() as work:
            path = frozen_source.freeze(name, frozen_source.files_of(name, Path(work), checkout))
        sys.stdout.write(f"{path.relative_to(frozen_source.ROOT)} {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else frozen_source.ROOT)
