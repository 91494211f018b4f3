"""Everything that can be wrong at the start gives one clear message and a status.

The table is in docs/exit-status.md. The server must end by itself, say what is wrong
and where, and leave nothing behind.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.process import GEUWSGI

CONFIGURATION_ERROR = 1
NO_APPLICATION = 22


def write_ini(directory: Path, lines: str) -> Path:
    path = directory / "site.ini"
    path.write_text(f"[uwsgi]\n{lines}")
    return path


def line_with(log: str, text: str) -> str:
    """The one line that says it; fails if there is none or more than one."""
    lines = [line for line in log.splitlines() if text in line]
    assert len(lines) == 1, log
    return lines[0]


def test_a_file_that_is_not_there(geuwsgi_server: StartServer) -> None:
    server = geuwsgi_server("--ini", "missing.ini")
    assert server.wait() == CONFIGURATION_ERROR
    assert "missing.ini" in line_with(server.log, "missing.ini")
    assert "Traceback" not in server.log
    server.assert_nothing_left()


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(tmp_path, "master = true\n").chmod(0)
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "site.ini")
    assert "Traceback" not in server.log


def test_a_directory_is_no_file(geuwsgi_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "site.ini").mkdir()
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "site.ini")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("option", ["http", "http-socket", "socket"])
@pytest.mark.parametrize("address", ["127.0.0.1:99999", "127.0.0.1:port", ":-1"])
def test_a_port_that_is_none(
    geuwsgi_server: StartServer, tmp_path: Path, option: str, address: str
) -> None:
    write_ini(tmp_path, f"master = true\n{option} = {address}\n")
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line = line_with(server.log, address)
    assert "site.ini:3" in line
    assert option in line
    assert "Traceback" not in server.log


@pytest.mark.parametrize("master", ["true", "false"])
def test_a_port_in_use(
    geuwsgi_server: StartServer, tmp_path: Path, master: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        write_ini(tmp_path, f"master = {master}\nhttp-socket = {address}\n")
        server = geuwsgi_server("--ini", "site.ini")
        assert server.wait() == CONFIGURATION_ERROR
    assert "in use" in line_with(server.log, address).lower()
    assert "Traceback" not in server.log
    server.assert_nothing_left()


def test_a_unix_socket_in_a_directory_that_is_not_there(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(tmp_path, "master = true\nsocket = nowhere/site.sock\n")
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "nowhere/site.sock")
    assert "Traceback" not in server.log


def test_a_file_that_is_no_socket_is_not_deleted(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("data")
    write_ini(tmp_path, "master = true\nsocket = precious\n")
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "precious")
    assert (tmp_path / "precious").read_text() == "data"


def test_an_unknown_option_on_the_command_line(geuwsgi_server: StartServer) -> None:
    server = geuwsgi_server("--harakriri", "30")
    assert server.wait() == CONFIGURATION_ERROR
    assert "harakiri" in line_with(server.log, "harakriri")
    assert "Traceback" not in server.log


def test_an_unknown_option_in_a_strict_file(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(tmp_path, "strict = true\nharakriri = 30\n")
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line = line_with(server.log, "harakriri")
    assert "site.ini:3" in line and "harakiri" in line


def test_an_unknown_option_in_a_file_is_told_and_the_site_starts(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(APPLICATION)
    write_ini(
        tmp_path,
        f"http-socket = 127.0.0.1:{port}\nvaccum = true\nmodule = app\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    server.wait_until_ready(f"127.0.0.1:{port}")
    assert get(f"127.0.0.1:{port}").body == b"served"
    line = line_with(server.log, "vaccum")
    assert "site.ini:3" in line and "vacuum" in line


def test_all_wrong_lines_are_told_together(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(
        tmp_path,
        "workers = many\nharakiri = soon\nstrict = true\nprocesess = 4\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    for place in ("site.ini:2", "site.ini:3", "site.ini:5"):
        line_with(server.log, place)


APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
"""

# What is wrong with the application, its file, and what the log must say.
BROKEN = {
    "a syntax error": ("def application(:\n", ["SyntaxError", "app.py"]),
    "an import that fails": (
        "import no_such_module\n",
        ["ModuleNotFoundError", "no_such_module"],
    ),
    "an exception while it is imported": ("1 / 0\n", ["ZeroDivisionError"]),
    "no callable of the name": ("other = 1\n", ["application", "app"]),
    "a callable that is none": ("application = 42\n", ["application", "callable"]),
    "an exit while it is imported": ("raise SystemExit(3)\n", ["SystemExit"]),
}


@pytest.mark.parametrize("lazy", ["", "lazy-apps = true\n"], ids=["preload", "lazy"])
@pytest.mark.parametrize("loader", ["module = app", "wsgi-file = app.py"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_application_ends_the_server_that_needs_one(
    geuwsgi_server: StartServer, tmp_path: Path, name: str, loader: str, lazy: str
) -> None:
    code, told = BROKEN[name]
    (tmp_path / "app.py").write_text(code)
    write_ini(
        tmp_path,
        f"http-socket = 127.0.0.1:{free_port()}\nmaster = true\nprocesses = 2\n"
        f"gevent = 10\nneed-app = true\n{loader}\n{lazy}",
    )
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == NO_APPLICATION
    for text in told:
        assert text in server.log
    server.assert_nothing_left()


@pytest.mark.parametrize("name", ["a syntax error", "no callable of the name"])
def test_a_broken_application_is_answered_with_500_where_none_is_needed(
    geuwsgi_server: StartServer, tmp_path: Path, name: str
) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(BROKEN[name][0])
    write_ini(
        tmp_path,
        f"http-socket = 127.0.0.1:{port}\nmaster = true\ngevent = 10\nmodule = app\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    server.wait_until_ready(f"127.0.0.1:{port}")
    response = get(f"127.0.0.1:{port}")
    assert response.status == 500
    assert b"Traceback" not in response.body
    server.wait_for_log(r"no app loaded\. going in full dynamic mode")


@pytest.mark.parametrize("option", ["module = missing_app", "wsgi-file = missing.py"])
def test_an_application_that_is_not_there(
    geuwsgi_server: StartServer, tmp_path: Path, option: str
) -> None:
    write_ini(
        tmp_path,
        f"http-socket = 127.0.0.1:{free_port()}\nmaster = true\nneed-app = true\n"
        f"{option}\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    # uWSGI: a file that is not there is an error of the configuration.
    assert server.wait() in (NO_APPLICATION, CONFIGURATION_ERROR)
    assert "missing" in server.log
    server.assert_nothing_left()


def test_a_directory_to_change_to_that_is_not_there(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(
        tmp_path,
        f"chdir = /no/such/place\nhttp-socket = 127.0.0.1:{free_port()}\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "/no/such/place")
    assert "Traceback" not in server.log


@pytest.mark.parametrize("option", ["uid", "gid"])
def test_a_user_that_is_unknown(
    geuwsgi_server: StartServer, tmp_path: Path, option: str
) -> None:
    write_ini(
        tmp_path,
        f"{option} = no-such-name\nmaster = true\n"
        f"http-socket = 127.0.0.1:{free_port()}\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "no-such-name")
    assert "Traceback" not in server.log
    server.assert_nothing_left()


def test_a_pidfile_that_cannot_be_written(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    write_ini(
        tmp_path,
        f"pidfile = nowhere/pid\nmaster = true\n"
        f"http-socket = 127.0.0.1:{free_port()}\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    assert "nowhere/pid" in line_with(server.log, "cannot write")
    assert "Traceback" not in server.log
    server.assert_nothing_left()


def test_nothing_to_listen_on(geuwsgi_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    write_ini(tmp_path, "module = app\n")
    server = geuwsgi_server("--ini", "site.ini")
    assert server.wait() == CONFIGURATION_ERROR
    assert server.log.strip()
    assert "Traceback" not in server.log


def test_a_stale_unix_socket_is_replaced(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "site.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    (tmp_path / "app.py").write_text(APPLICATION)
    write_ini(
        tmp_path,
        "http-socket = %d/site.sock\nchmod-socket = 640\nmodule = app\nvacuum = true\n"
        "gevent = 10\nmaster = true\n",
    )
    server = geuwsgi_server("--ini", "site.ini")
    server.wait_until_ready(str(path))
    assert get(str(path)).body == b"served"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert server.stop() == 0
    assert not path.exists()


def test_a_socket_that_was_promised_and_is_not_there(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    script = (
        "import os, sys; os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
        "os.closerange(3, 10); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    server = geuwsgi_server(
        *("--http-socket", "127.0.0.1:0", "--master"),
        command=(sys.executable, "-c", script, *GEUWSGI[1:]),
    )
    assert server.wait() == CONFIGURATION_ERROR
    line_with(server.log, "LISTEN_FDS: descriptor 3 is not open")
    assert "Traceback" not in server.log
