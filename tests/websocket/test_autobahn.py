"""Autobahn's cases, driven by kosoku: framing in full, compression in samples.

By hand, all of 9 (limits), 12 and 13 (compression) as well: they take ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.websocket.conftest import SocketServer

kosoku = pytest.importorskip("kosoku")

FRAMING = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
SAMPLES = ["9.1.1", "9.5.1", "12.1.1", "12.1.3", "12.2.4", "12.3.5"]
SAMPLES += ["13.1.2", "13.1.3", "13.3.4", "13.5.3"]


@pytest.fixture(scope="module")
def compressing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketServer]:
    """A server that compresses the shortest message, too.

    kosoku divides by what it got compressed: cases 12.*.1, 12.*.2 and those of 13, of
    16 and 64 bytes, end in its error where short messages stay as they are.
    """
    server = SocketServer(
        tmp_path_factory.mktemp("compressing"),
        *("--websocket-deflate", "--websocket-deflate-threshold", "0"),
    )
    yield server
    server.process.kill()


async def run(url: str, cases: list[str]) -> list[str]:
    try:
        results = await kosoku.run_fuzzingclient(url, cases=cases, concurrency=4)
    except kosoku.FailureError as error:
        results = error.results
    return [
        f"{result.case_id}: {result.result}" for result in results if not result.passed
    ]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("cases", [FRAMING, SAMPLES], ids=["framing", "samples"])
def test_no_case_of_autobahn_fails(compressing: SocketServer, cases: list[str]) -> None:
    assert not asyncio.run(run(f"ws://{compressing.http}/object", cases))
