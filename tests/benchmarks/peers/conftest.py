"""How large the comparison is, and where its figures go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.benchmarks.peers import vision

vision.make_importable()  # before anything imports torchvision: transformers does


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("peers")
    group.addoption("--peers-rows", type=int, metavar="N", help="rows of MRPC's train; all")
    group.addoption("--peers-rounds", type=int, default=3, metavar="N", help="epochs of each tool")
    group.addoption("--peers-threads", type=int, default=2, metavar="N", help="of training")
    group.addoption(
        "--peers-vectors", default="10000,67349", metavar="N,N", help="sizes of the bases searched"
    )
    group.addoption("--peers-queries", type=int, default=400, metavar="N", help="of each tool")
    group.addoption("--peers-json", type=Path, metavar="FILE", help="add the tables to this file")


class Size(NamedTuple):
    """The size of a comparison of training."""

    rows: int | None
    rounds: int
    threads: int


@pytest.fixture(scope="session")
def size(request: pytest.FixtureRequest) -> Size:
    option = request.config.getoption
    return Size(option("peers_rows"), option("peers_rounds"), option("peers_threads"))


@pytest.fixture(scope="session")
def file(request: pytest.FixtureRequest) -> Path | None:
    path: Path | None = request.config.getoption("peers_json")
    return path


@pytest.fixture
def threads(size: Size) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(size.threads)
    yield
    torch.set_num_threads(before)
