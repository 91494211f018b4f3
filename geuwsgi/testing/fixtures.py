"""The helpers as pytest fixtures.

In a site's ``conftest.py``::

    from geuwsgi.testing.fixtures import geuwsgi_server  # noqa: F401

and in a test::

    def test_the_front_page(geuwsgi_server):
        port = free_port()
        server = geuwsgi_server("--ini", "/srv/site/uwsgi.ini", "--http", f":{port}")
        server.wait_until_ready(f"127.0.0.1:{port}")
        assert get(f"127.0.0.1:{port}").status == 200
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from geuwsgi.testing.process import GEUWSGI, ServerProcess


class StartServer(Protocol):
    def __call__(
        self,
        *arguments: str,
        command: Sequence[str] = GEUWSGI,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> ServerProcess: ...


@pytest.fixture
def geuwsgi_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers in the test's own directory; they end with the test."""
    with ExitStack() as running:

        def start(
            *arguments: str,
            command: Sequence[str] = GEUWSGI,
            environment: Mapping[str, str] | None = None,
            directory: Path | None = None,
            pass_fds: Sequence[int] = (),
        ) -> ServerProcess:
            return running.enter_context(
                ServerProcess(
                    arguments,
                    directory=directory or tmp_path,
                    command=command,
                    environment=environment,
                    pass_fds=pass_fds,
                )
            )

        yield start
