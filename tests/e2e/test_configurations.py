"""Configurations as people write them, after those found in public repositories."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer
from geuwsgi.testing.packet import exchange_packet, web_server_vars
from geuwsgi.testing.process import GEUWSGI, ServerProcess

Serve = Callable[..., tuple[ServerProcess, str]]


@pytest.fixture
def serve(geuwsgi_server: StartServer, site_directory: Path) -> Serve:
    """Start with arguments in which PORT is a free port; wait until it answers."""

    def serve(
        *arguments: str,
        ini: str = "",
        path: str = "/",
        environment: Mapping[str, str] | None = None,
    ) -> tuple[ServerProcess, str]:
        port = str(free_port())
        (site_directory / "uwsgi.ini").write_text(ini.replace("PORT", port))
        server = geuwsgi_server(
            *(argument.replace("PORT", port) for argument in arguments),
            directory=site_directory,
            environment={
                name: value.replace("PORT", port)
                for name, value in (environment or {}).items()
            },
        )
        address = f"127.0.0.1:{port}"
        server.wait_until_ready(address)
        assert get(address, path).body == b"hello"
        return server, address

    return serve


def shown(address: str) -> dict[str, str]:
    environ: dict[str, str] = json.loads(get(address, "/environ").body)
    return environ


COMMAND_LINES = {
    "flask-socketio": "--http :PORT --gevent 1000 --http-websockets --master "
    "--wsgi-file pages.py --callable application",
    "short options": "--http 127.0.0.1:PORT -M -p 2 --gevent 100 -w pages:application -L",
    "equal signs": "--http-socket=127.0.0.1:PORT --workers=2 --module=pages "
    "--gevent=100 --die-on-term --need-app --listen=128",
    "a file and more": "--ini uwsgi.ini --http 127.0.0.1:PORT",
    "a file by position": "uwsgi.ini --http 127.0.0.1:PORT",
    "a section": "--ini uwsgi.ini:web --http 127.0.0.1:PORT",
    "an abbreviation": "--http 127.0.0.1:PORT --enable-thread --wsgi-file pages.py",
    "http by protocol": "--socket 127.0.0.1:PORT --protocol http -w pages",
    "loop and async": "--http 127.0.0.1:PORT --loop gevent --async 100 -w pages",
    "http11": "--http11-socket 127.0.0.1:PORT --gevent 100 -w pages",
}


@pytest.mark.parametrize("name", COMMAND_LINES)
def test_a_command_line(serve: Serve, name: str) -> None:
    ini = (
        "[uwsgi]\nmaster = true\nmodule = pages\ngevent = 10\n"
        "[web]\nini = :uwsgi\nprocesses = 2\n"
    )
    server, _ = serve(*COMMAND_LINES[name].split(), ini=ini)
    server.stop()
    server.assert_nothing_left()


FILES = {
    "documented": """
[uwsgi]
http = :PORT
master = true
processes = 2
gevent = 1000
http-websockets = true
enable-threads = true
wsgi-file = pages.py
callable = application
vacuum = true
die-on-term = true
buffer-size = 32768
""",
    "placeholders and magic": """
[uwsgi]
; the old spelling of everything
base = %d
project = pages
chdir = %(base)
module = %(project):application
workers = %(%k + 1)
http-socket = 127.0.0.1:PORT
pidfile = %(base)/%n.pid
master = 1
gevent = 100  # requests
vacuum = 1
threads = true
memory-report = false
thunder-lock =
vaccum = true
""",
    "a container": """
[uwsgi]
strict = true
http-socket = 127.0.0.1:PORT
module = pages:application
master = true
processes = 2
gevent = 100
lazy-apps = true
need-app = true
single-interpreter = true
die-on-term = true
vacuum = true
enable-threads = true
listen = 128
buffer-size = 65535
harakiri = 60
max-requests = 5000
max-requests-delta = 500
max-worker-lifetime = 3600
reload-on-rss = 2048
worker-reload-mercy = 60
thunder-lock = true
log-4xx = true
log-5xx = true
disable-logging = true
log-x-forwarded-for = true
hook-master-start = unix_signal:15 gracefully_kill_them_all
py-call-osafterfork = true
ignore-sigpipe = true
ignore-write-errors = true
disable-write-exception = true
post-buffering = 8192
so-keepalive = true
""",
    "conditions": """
[uwsgi]
if-env = SITE_LISTENS
http-socket = 127.0.0.1:%(_)
endif =
if-not-env = SITE_LISTENS
http-socket = 127.0.0.1:1
endif =
for = GREETING=a FAREWELL=b
env = %(_)
endfor =
module = pages
gevent = 10
""",
    "no equal signs": """
[uwsgi]
master
strict
gevent-monkey-patch
http = 127.0.0.1:PORT
gevent = 10
wsgi-file = pages.py
""",
    "ckan": """
[uwsgi]
http = 127.0.0.1:PORT
socket = %d/ckan.sock
wsgi-file = pages.py
callable = application
master = true
enable-threads = true
gevent-early-monkey-patch = true
gevent = 2000
lazy-apps = true
processes = 2
vacuum = true
harakiri = 50
""",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file(serve: Serve, name: str) -> None:
    server, _ = serve(
        "--ini", "uwsgi.ini", ini=FILES[name], environment={"SITE_LISTENS": "PORT"}
    )
    assert "Traceback" not in server.log
    server.stop()
    server.assert_nothing_left()


def test_everything_in_the_environment(serve: Serve) -> None:
    environment = {
        "UWSGI_HTTP": "127.0.0.1:PORT",
        "UWSGI_MASTER": "1",
        "UWSGI_MODULE": "pages:application",
        "UWSGI_GEVENT": "50",
    }
    serve(environment=environment)


def test_a_port_from_the_environment(serve: Serve) -> None:
    serve(
        "--ini",
        "uwsgi.ini",
        ini="[uwsgi]\nhttp-socket = :$(LISTEN_ON)\nmodule = pages\ngevent = 9\n",
        environment={"LISTEN_ON": "PORT"},
    )


def test_a_yaml_file(serve: Serve, site_directory: Path) -> None:
    pytest.importorskip("yaml")
    (site_directory / "uwsgi.yml").write_text(
        "uwsgi:\n  master: true\n  gevent: 10\n  module: pages\n"
    )
    serve("--yaml", "uwsgi.yml", "--http", "127.0.0.1:PORT")


def test_a_unix_socket_has_the_mode_and_owner_it_is_given(
    geuwsgi_server: StartServer, site_directory: Path
) -> None:
    path = site_directory / "site.sock"
    chown = "chown-socket = www-data:www-data\n" if os.getuid() == 0 else ""
    (site_directory / "uwsgi.ini").write_text(
        "[uwsgi]\nsocket = %d/site.sock\nchmod-socket = 660\nmaster = true\n"
        f"gevent = 10\nmodule = pages\nvacuum = true\n{chown}"
    )
    server = geuwsgi_server("--ini", "uwsgi.ini", directory=site_directory)
    server.wait_until_ready(str(path))
    response = exchange_packet(str(path), web_server_vars("/"))
    assert response.body == b"hello"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    if chown:
        assert path.owner() == "www-data"
    assert server.stop() == 0
    server.assert_nothing_left()


def test_an_abstract_socket(geuwsgi_server: StartServer, site_directory: Path) -> None:
    name = f"@geuwsgi-test-{os.getpid()}"
    server = geuwsgi_server(
        "--socket", name, "--gevent", "5", "-w", "pages", directory=site_directory
    )
    server.wait_until_ready(name)
    assert exchange_packet(name, web_server_vars("/")).body == b"hello"


def test_ipv6(geuwsgi_server: StartServer, site_directory: Path) -> None:
    address = f"[::1]:{free_port()}"
    server = geuwsgi_server(
        "--http", address, "--gevent", "5", "-w", "pages", directory=site_directory
    )
    server.wait_until_ready(address)
    assert shown(address)["REMOTE_ADDR"] == "::1"


def test_sockets_that_systemd_opened(
    geuwsgi_server: StartServer, site_directory: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        address = f"127.0.0.1:{opened.getsockname()[1]}"
        # systemd hands them over from descriptor 3 on, to the process it names.
        script = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3, inheritable=True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        server = geuwsgi_server(
            *("--http-socket", address, "--master", "--gevent", "5", "-w", "pages"),
            command=(
                *(sys.executable, "-c", script, str(opened.fileno())),
                *GEUWSGI[1:],
            ),
            directory=site_directory,
            pass_fds=(opened.fileno(),),
        )
        server.wait_for_log("spawned uWSGI worker 1")
        assert get(address).body == b"hello"
        assert server.stop() == 0
    server.assert_nothing_left()


def everybody_may_run_this_python() -> bool:
    path = Path(sys.executable).resolve()
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
@pytest.mark.skipif(
    not everybody_may_run_this_python(), reason="this Python is not for every user"
)
def test_the_workers_run_as_the_user_they_are_given(
    geuwsgi_server: StartServer, site_directory: Path
) -> None:
    # The user must get through to the site.
    for directory in (site_directory, *site_directory.parents[:3]):
        directory.chmod(0o755)
    address = f"127.0.0.1:{free_port()}"
    server = geuwsgi_server(
        *("--http", address, "--master", "--uid", "www-data", "--gid", "www-data"),
        *("--gevent", "5", "-w", "pages"),
        directory=site_directory,
    )
    server.wait_until_ready(address)
    worker = int(get(address, "/pid").text)
    assert Path(f"/proc/{worker}").owner() == "www-data"
    assert server.stop() == 0
    server.assert_nothing_left()


def test_the_log_goes_where_it_is_sent(serve: Serve) -> None:
    server, address = serve(
        "--ini",
        "uwsgi.ini",
        ini="[uwsgi]\nhttp = 127.0.0.1:PORT\nmaster = true\nmodule = pages\n"
        "gevent = 5\nlogto = %d/site.log\n",
    )
    log = server.directory / "site.log"
    get(address, "/complain")
    server.wait_for(lambda: "GET /complain =>" in log.read_text(), "logs to the file")
    assert "a complaint of the application" in log.read_text()
    assert "GET /complain" not in server.log


def test_requests_are_not_logged_when_that_is_off_but_errors_are(
    serve: Serve,
) -> None:
    server, address = serve(
        "--ini",
        "uwsgi.ini",
        ini="[uwsgi]\nhttp = 127.0.0.1:PORT\nmaster = true\nmodule = pages\n"
        "gevent = 5\ndisable-logging = true\nlog-4xx = true\nlog-5xx = true\n",
    )
    get(address, "/stream")
    get(address, "/nowhere")
    get(address, "/error")
    server.wait_for_log("GET /error =>")
    assert "GET /nowhere =>" in server.log
    assert "GET /stream" not in server.log


def test_a_line_of_ones_own(serve: Serve) -> None:
    server, address = serve(
        "--ini",
        "uwsgi.ini",
        ini="[uwsgi]\nhttp = 127.0.0.1:PORT\nmaster = true\nmodule = pages\n"
        'gevent = 5\nlog-format = %(addr) - %(user) "%(method) %(uri) %(proto)" '
        '%(status) %(size) "%(referer)" "%(uagent)" %(var.HTTP_HOST)\n',
    )
    get(address, "/nowhere?x")
    server.wait_for_log(
        r'^127\.0\.0\.1 - - "GET /nowhere\?x HTTP/1\.1" 404 \d+ "-" "-" localhost$'
    )
