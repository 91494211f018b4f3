"""Real servers for the end-to-end tests: geuwsgi, uWSGI, nginx and Apache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port
from geuwsgi.testing.fixtures import geuwsgi_server
from geuwsgi.testing.process import ServerProcess

__all__ = ["geuwsgi_server"]

APPS = Path(__file__).parent / "apps"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


def missing(what: str) -> None:
    """Skip the test; where everything must be tested, fail it."""
    if os.environ.get("GEUWSGI_TEST_ALL"):
        pytest.fail(f"{what} is missing and GEUWSGI_TEST_ALL is set")
    pytest.skip(f"{what} is missing")


def find_program(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        missing(name)
    assert path is not None
    return path


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """The path of a program of the system; without it the test cannot be run."""
    return find_program


@pytest.fixture(scope="session")
def reference_uwsgi() -> str:
    """The command of a real uWSGI with gevent, to compare with."""
    path = os.environ.get("GEUWSGI_REFERENCE_UWSGI")
    if not path:
        missing("GEUWSGI_REFERENCE_UWSGI, the path of a real uwsgi,")
    assert path is not None
    return path


@pytest.fixture
def site_directory(tmp_path: Path) -> Path:
    """A directory with the test applications, for a server to run in."""
    return Path(shutil.copytree(APPS, tmp_path / "site"))


@pytest.fixture(scope="module")
def module_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(APPS, tmp_path_factory.mktemp("server") / "site"))


SITE_INI = """\
[uwsgi]
http = {http}
http-socket = {http_socket}
http-socket = %d/http.sock
socket = {socket}
socket = %d/uwsgi.sock
fastcgi-socket = %d/fastcgi.sock
scgi-socket = %d/scgi.sock
chmod-socket = 666
http-websockets = true

master = true
processes = 1
gevent = 100
enable-threads = true
buffer-size = 32768

chdir = %d
module = pages
callable = {callable}
need-app = true

vacuum = true
die-on-term = true
"""


@dataclass(frozen=True)
class Site:
    """A running server and the addresses it listens on."""

    server: ServerProcess
    http: str
    http_socket: str
    http_unix: str
    uwsgi: str
    uwsgi_unix: str
    fastcgi_unix: str
    scgi_unix: str

    @property
    def http_addresses(self) -> tuple[str, str, str]:
        return self.http, self.http_socket, self.http_unix


def start_site(directory: Path, callable_name: str) -> Site:
    http, http_socket, uwsgi = (f"127.0.0.1:{free_port()}" for _ in range(3))
    (directory / "uwsgi.ini").write_text(
        SITE_INI.format(
            http=http, http_socket=http_socket, socket=uwsgi, callable=callable_name
        )
    )
    server = ServerProcess(["--ini", "uwsgi.ini"], directory=directory)
    site = Site(
        server,
        http,
        http_socket,
        str(directory / "http.sock"),
        uwsgi,
        str(directory / "uwsgi.sock"),
        str(directory / "fastcgi.sock"),
        str(directory / "scgi.sock"),
    )
    try:
        server.wait_until_ready(
            *site.http_addresses, site.uwsgi, site.uwsgi_unix, timeout=30
        )
    except BaseException:
        server.kill()
        raise
    return site


@pytest.fixture(scope="module")
def site(module_directory: Path) -> Iterator[Site]:
    """One server for a module's tests; its application is validated."""
    site = start_site(module_directory, "application")
    yield site
    site.server.kill()


@pytest.fixture(scope="module")
def bare_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same with nothing between the server and the application."""
    directory = shutil.copytree(APPS, tmp_path_factory.mktemp("bare") / "site")
    site = start_site(Path(directory), "bare")
    yield site
    site.server.kill()


@pytest.fixture(params=["http", "http_socket", "http_unix"])
def http_address(request: pytest.FixtureRequest, site: Site) -> str:
    """Each way in which the site speaks HTTP."""
    address: str = getattr(site, request.param)
    return address
