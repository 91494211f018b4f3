"""The site of the tests in this directory: one application, one ini file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geuwsgi.testing.client import Client, free_port, get
from geuwsgi.testing.process import ServerProcess

APPLICATION = """\
import os, time
VERSION = "{version}"

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(float(environ["QUERY_STRING"] or 1))
    elif path == "/reload":
        import uwsgi
        uwsgi.reload()
    elif path == "/stop":
        import uwsgi
        uwsgi.stop()
    elif path == "/block":
        end = time.perf_counter() + float(environ["QUERY_STRING"])
        while time.perf_counter() < end:
            pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{{VERSION}} {{os.getpid()}}".encode()]
"""


class Site:
    """Written into ``directory``; start it with more lines for the ini file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._server: ServerProcess | None = None
        self.write_version("one")

    @property
    def server(self) -> ServerProcess:
        assert self._server is not None
        return self._server

    @property
    def ini(self) -> Path:
        return self.directory / "site.ini"

    def write_version(self, version: str) -> None:
        self.write_code(APPLICATION.format(version=version))

    def write_code(self, code: str) -> None:
        """Replace the application in one step, as deploys do."""
        fresh = self.directory / "app.py.new"
        fresh.write_text(code)
        fresh.rename(self.directory / "app.py")

    def write_ini(self, more: str = "", workers: int = 2) -> None:
        self.ini.write_text(
            "[uwsgi]\n"
            f"http-socket = {self.address}\n"
            "module = app\ngevent = 50\nmaster = true\n"
            f"processes = {workers}\n"
            "pidfile = %d/site.pid\nvacuum = true\ndisable-logging = true\n" + more
        )

    def start(
        self, more: str = "", workers: int = 2, spawned: int | None = None
    ) -> ServerProcess:
        """Start it and wait until it serves, with ``spawned`` workers at first."""
        self.write_ini(more, workers)
        self._server = ServerProcess(["site.ini"], directory=self.directory)
        self._server.wait_for_log(
            "spawned uWSGI worker",
            count=workers if spawned is None else spawned,
            timeout=30,
        )
        self._server.wait_until_ready(self.address, timeout=30)
        self.get(timeout=30.0)
        return self._server

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()

    # -- asking ------------------------------------------------------------------------

    def get(self, target: str = "/", timeout: float = 20.0) -> str:
        response = get(self.address, target, timeout)
        assert response.status == 200, response
        return response.text

    def version(self) -> str:
        return self.get().split()[0]

    def wait_for_version(self, version: str, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while self.version() != version:
            assert time.monotonic() < deadline, self.server.log
            time.sleep(0.01)

    def worker_pid(self, number: int) -> int:
        """The process id that was last told for a worker."""
        matches = self.server.wait_for_log(
            rf"uWSGI worker {number} \((?:new )?pid: (\d+)"
        )
        return int(matches[-1][1])

    def template_pid(self) -> int:
        """The process that loaded the application last."""
        matches = self.server.wait_for_log(r"WSGI app 0 .* pid: (\d+)")
        return int(matches[-1][1])

    @contextmanager
    def load(self, clients: int = 4) -> Iterator[Load]:
        """Send requests all the time; at the end none may have failed."""
        load = Load(self.address, clients)
        try:
            yield load
        finally:
            load.stop()
        assert load.failures == [], load.failures[:3]
        assert load.answered > 0


class Load:
    """Clients that ask one request after the other, half of them keeping alive."""

    def __init__(self, address: str, clients: int) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.longest_s = 0.0
        self._address = address
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,))
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps_alive: bool) -> None:
        while not self._stopping.is_set():
            try:
                self._converse(50 if keeps_alive else 1)
            except Exception as exc:
                self.failures.append(f"{type(exc).__name__}: {exc}")

    def _converse(self, requests: int) -> None:
        with Client(self._address) as client:
            for _ in range(requests):
                begun = time.monotonic()
                response = client.request("/")
                if response.status != 200:
                    self.failures.append(f"status {response.status}")
                self.answered += 1
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                time.sleep(0.002)
                if response.header("Connection") == "close" or self._stopping.is_set():
                    return


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
