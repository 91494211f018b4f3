"""Websockets through real nginx and real Apache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from geuwsgi.testing.client import free_port
from geuwsgi.testing.process import ServerProcess
from tests.websocket.conftest import SocketServer

NGINX_CONF = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {uwsgi};
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_pass {server.uwsgi};
        }}
    }}
    server {{
        listen {proxy};
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            proxy_pass http://{server.http};
        }}
    }}
}}
"""

APACHE_CONF = """\
ServerRoot {directory}
ServerName localhost
PidFile {directory}/apache.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule proxy_wstunnel_module {modules}/mod_proxy_wstunnel.so
Listen {apache}
ProxyPass "/" "ws://{server.http}/"
"""

WAYS = ["nginx uwsgi_pass", "nginx proxy_pass", "apache wstunnel"]


def find(name: str) -> str:
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is missing")
    return path


def apache_modules() -> Path:
    for place in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"):
        if (Path(place) / "mod_proxy_wstunnel.so").exists():
            return Path(place)
    pytest.skip("mod_proxy_wstunnel is missing")


@pytest.fixture(scope="module", params=WAYS)
def front(
    request: pytest.FixtureRequest,
    server: SocketServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("front")
    addresses = {
        name: f"127.0.0.1:{free_port()}" for name in ("uwsgi", "proxy", "apache")
    }
    if request.param.startswith("nginx"):
        config = directory / "nginx.conf"
        config.write_text(
            NGINX_CONF.format(
                directory=directory,
                server=server,
                # Its workers must reach into the test's directory.
                user="user root;" if os.getuid() == 0 else "",
                **addresses,
            )
        )
        command = [find("nginx"), "-e", "stderr", "-c", str(config)]
        address = addresses["uwsgi" if "uwsgi" in request.param else "proxy"]
    else:
        config = directory / "apache.conf"
        config.write_text(
            APACHE_CONF.format(
                directory=directory,
                server=server,
                modules=apache_modules(),
                **addresses,
            )
        )
        command = [find("apache2"), "-f", str(config), "-DFOREGROUND"]
        address = addresses["apache"]
    run_in = directory / "run"
    run_in.mkdir()
    with ServerProcess((), directory=run_in, command=command) as process:
        process.wait_until_ready(address)
        yield address


@pytest.mark.parametrize("path", ["/echo", "/object", "/select", "/gevent"])
def test_messages_pass_both_ways(front: str, path: str) -> None:
    with connect(f"ws://{front}{path}", open_timeout=10) as client:
        for text in ("hello", "grüß", "x" * 300_000):
            client.send(text)
            assert client.recv(timeout=10) == text
        assert client.ping().wait(timeout=5)


def test_the_close_code_passes(front: str) -> None:
    with connect(f"ws://{front}/closes", open_timeout=10) as client:
        client.send("4321 so there")
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        assert (client.close_code, client.close_reason) == (4321, "so there")


def test_a_client_that_goes_is_noticed(front: str, server: SocketServer) -> None:
    before = server.process.log.count("object ended: 1006")
    with connect(f"ws://{front}/object", open_timeout=10) as client:
        client.send("x")
        assert client.recv(timeout=10) == "x"
        client.socket.close()
    server.process.wait_for_log("object ended: 1006", count=before + 1, timeout=10)
