"""A lone worker in the interpreter that read its configuration, and in a fresh one."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import geuwsgi
from geuwsgi.background.commons import Commons
from geuwsgi.master.staying import forget_start, may_stay, wants_fresh
from geuwsgi.options import Process, Python, Settings
from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer

APPLICATION = """
import json, os, queue, select, signal, socket, ssl, sys, threading
from gevent import monkey
BEGUN = sys.path[:]

def described(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}").partition(":")[0].rstrip("0123456789")
    except OSError:
        return None

def application(environ, start_response):
    seen = {
        "path": BEGUN,
        "argv": sys.argv,
        "main": sorted(vars(sys.modules["__main__"])),
        "patched": {
            name: monkey.is_module_patched(name)
            for name in ("socket", "threading", "ssl", "queue", "select", "subprocess")
        },
        "kinds": [
            repr(kind)
            for kind in (socket.socket, threading.Lock, queue.SimpleQueue, ssl.SSLSocket)
        ],
        "hup": str(signal.getsignal(signal.SIGHUP)).partition(" at ")[0],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "stderr": type(sys.stderr).__name__,
        "inheritable": [
            fd for fd in range(3, 64) if described(fd) and os.get_inheritable(fd)
        ],
        "directory": os.getcwd(),
        "title": open("/proc/self/cmdline", "rb").read().decode().strip("\\0 "),
        "started": "geuwsgi.master.launch" in sys.modules,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    directory = tmp_path / "site"
    directory.mkdir()
    (directory / "seeing.py").write_text(APPLICATION)
    # It must not be taken for the library's.
    (directory / "tempfile.py").write_text("raise RuntimeError('not this one')\n")
    return directory


@pytest.mark.parametrize("command", ["module", "script"])
def test_a_worker_that_stays_sees_what_a_fresh_one_sees(
    geuwsgi_server: StartServer, site: Path, command: str
) -> None:
    how = [sys.executable, "-m", "geuwsgi"]
    if command == "script":
        script = site / "geuwsgi"
        script.write_text(
            "import sys\nfrom geuwsgi.cli import main\nsys.exit(main())\n"
        )
        how[1:] = [str(script)]
    seen: list[dict[str, Any]] = []
    for more in ((), ("--env", "FRESH=1")):
        port = free_port()
        arguments = ("--http-socket", f"127.0.0.1:{port}", "--module", "seeing")
        server = geuwsgi_server(
            *(*arguments, "--log-date", "--gevent", "10", *more),
            command=how,
            directory=site,
            environment={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        server.wait_until_ready(f"127.0.0.1:{port}")
        answer = json.loads(get(f"127.0.0.1:{port}", "/").body)
        answer["title"] = answer["title"].partition(" --http-socket")[0]
        seen.append(answer)
        server.stop()
    stayed, fresh = seen
    assert (stayed.pop("started"), fresh.pop("started")) == (True, False)
    # What has gone through an exec once would go through another.
    assert (stayed.pop("inheritable"), bool(fresh.pop("inheritable"))) == ([], True)
    assert stayed == fresh
    assert all(fresh["patched"].values())


def _settings(**options: Any) -> Settings:
    return Settings(process=Process(**options))


@pytest.mark.parametrize(
    "settings",
    [
        _settings(auto_procname=True),
        _settings(procname="site"),
        _settings(procname_prefix="site "),
        Settings(python=Python(optimize=1 + sys.flags.optimize)),
    ],
)
def test_options_of_the_interpreter_want_a_fresh_one(settings: Settings) -> None:
    assert wants_fresh(settings, Commons(), os.environ)


def test_other_variables_want_a_fresh_interpreter() -> None:
    settings = Settings(python=Python(optimize=sys.flags.optimize))
    assert not wants_fresh(settings, Commons(), os.environ)
    environ = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    assert wants_fresh(settings, Commons(), environ)


def test_where_gevent_is_already_nobody_stays() -> None:
    import gevent  # noqa: F401

    assert not may_stay(_settings(), Commons(), os.environ, os.getcwd())


def test_what_stands_in_the_search_path_for_the_start_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = str(Path(geuwsgi.__file__).parents[1].resolve())
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", "/elsewhere", own])
    forget_start(str(tmp_path))
    assert sys.path == ["/elsewhere", own]
