"""What a site falls back on, and variables from a directory."""

from __future__ import annotations

from pathlib import Path

from geuwsgi.testing.client import free_port, get
from geuwsgi.testing.fixtures import StartServer

APP = """
import os

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["GREETING"].encode()]
"""


def test_an_instance_that_fails_is_replaced_by_its_fallback(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "bad.ini").write_text(
        "[uwsgi]\nsocket = /nonexistent/x.sock\nfallback-config = good.ini\n"
    )
    (tmp_path / "good.ini").write_text(
        f"[uwsgi]\nhttp = {address}\nwsgi-file = app.py\nmaster = true\n"
        "envdir = variables\n"
    )
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "GREETING").write_text("hello \nnot this line\n")
    server = geuwsgi_server("bad.ini", directory=tmp_path)
    server.wait_until_ready(address)
    assert get(address).text == "hello"
    assert "bad.ini:2: socket: cannot listen on /nonexistent/x.sock" in server.log


def test_a_directory_of_variables_that_is_missing_is_told(
    geuwsgi_server: StartServer, tmp_path: Path
) -> None:
    server = geuwsgi_server(
        *("--http", f"127.0.0.1:{free_port()}", "--master", "--envdir", "nowhere"),
        directory=tmp_path,
    )
    assert server.wait() == 1
    assert "envdir nowhere: No such file or directory" in server.log


def test_check_finds_a_wrong_rule(geuwsgi_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "site.ini").write_text("[uwsgi]\nhttp = :8000\nroute = ^/ nonsense:1\n")
    server = geuwsgi_server("check", "site.ini", directory=tmp_path)
    assert server.wait() == 2
    assert "site.ini:3: route: unknown action 'nonsense'" in server.log
