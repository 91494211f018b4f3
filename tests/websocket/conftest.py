"""A server whose application speaks websockets in every way."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from geuwsgi.testing.client import free_port
from geuwsgi.testing.fixtures import geuwsgi_server
from geuwsgi.testing.process import ServerProcess

__all__ = ["geuwsgi_server"]

APPS = Path(__file__).parent / "apps"

Open = Callable[..., ClientConnection]


class SocketServer:
    """A running server; ``http`` and ``uwsgi`` are its addresses."""

    def __init__(self, directory: Path, *options: str, app: str = "sockets") -> None:
        shutil.copytree(APPS, directory, dirs_exist_ok=True)
        self.http = f"127.0.0.1:{free_port()}"
        self.uwsgi = f"127.0.0.1:{free_port()}"
        self.process = ServerProcess(
            [
                "--http",
                self.http,
                "--socket",
                self.uwsgi,
                "--module",
                app if ":" in app else f"{app}:application",
                "--gevent",
                "200",
                "--master",
                *options,
            ],
            directory=directory,
        )
        try:
            self.process.wait_until_ready(self.http, self.uwsgi, timeout=30)
        except BaseException:
            self.process.kill()
            raise

    def connect(self, path: str, **how: Any) -> ClientConnection:
        how.setdefault("compression", None)
        how.setdefault("open_timeout", 10)
        opened: ClientConnection = connect(f"ws://{self.http}{path}", **how)
        return opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketServer]:
    """A server for all tests of a module."""
    started = SocketServer(
        tmp_path_factory.mktemp("sockets"),
        *("--websocket-deflate", "--http-websockets", "--sharedarea", "1"),
    )
    yield started
    started.process.kill()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
        assert not thread.is_alive()
