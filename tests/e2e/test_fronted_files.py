"""Static files of ours through real nginx and real Apache: nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from geuwsgi.testing.client import Client, Response, free_port
from geuwsgi.testing.process import ServerProcess

NGINX_CONF = """\
{user}
daemon off;
pid {base}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {base}/body;
    proxy_temp_path {base}/proxy;
    uwsgi_temp_path {base}/uwsgi;
    fastcgi_temp_path {base}/fastcgi;
    scgi_temp_path {base}/scgi;
    server {{
        listen {nginx_uwsgi};
        location / {{ include /etc/nginx/uwsgi_params; uwsgi_pass {uwsgi}; }}
    }}
    server {{
        listen {nginx_http};
        location / {{ proxy_http_version 1.1; proxy_pass http://{http}; }}
    }}
}}
"""

APACHE_CONF = """\
ServerRoot {base}
ServerName localhost
PidFile {base}/apache.pid
ErrorLog /dev/stderr
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
LoadModule proxy_uwsgi_module {modules}/mod_proxy_uwsgi.so
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 16
ServerLimit 1
MinSpareThreads 1
MaxSpareThreads 16
Listen {apache_uwsgi}
Listen {apache_http}
<VirtualHost {apache_uwsgi}>
    ProxyPass "/" "uwsgi://{uwsgi}/"
</VirtualHost>
<VirtualHost {apache_http}>
    ProxyPass "/" "http://{http}/"
</VirtualHost>
"""

FRONTS = ("nginx_uwsgi", "nginx_http", "apache_uwsgi", "apache_http")


@pytest.fixture(scope="module")
def addresses(
    program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    base = tmp_path_factory.mktemp("fronted")
    files = base / "files"
    files.mkdir()
    (files / "a.txt").write_bytes(b"0123456789")
    (files / "large.bin").write_bytes(os.urandom(1_500_000))
    for file in files.iterdir():
        os.utime(file, (1_700_000_000, 1_700_000_000))
    (base / "app.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('404 Not Found', [])\n"
        "    return [b'application']\n"
    )
    addresses = {
        name: f"127.0.0.1:{free_port()}" for name in ("uwsgi", "http", *FRONTS)
    }
    user = "user root;" if os.getuid() == 0 else ""
    (base / "nginx.conf").write_text(
        NGINX_CONF.format(base=base, user=user, **addresses)
    )
    modules = next(
        (
            place
            for place in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules")
            if Path(place).is_dir()
        ),
        "modules",
    )
    (base / "apache.conf").write_text(
        APACHE_CONF.format(base=base, modules=modules, **addresses)
    )
    options = [
        *("--socket", addresses["uwsgi"], "--http-socket", addresses["http"]),
        *("--gevent", "20", "--wsgi-file", "app.py", "--static-map", "/files=files"),
    ]
    nginx = [program("nginx"), "-e", "stderr", "-c", str(base / "nginx.conf")]
    apache = [program("apache2"), "-f", str(base / "apache.conf"), "-DFOREGROUND"]
    for name in ("nginx", "apache"):
        (base / name).mkdir()
    with (
        ServerProcess(options, directory=base) as ours,
        ServerProcess((), directory=base / "nginx", command=nginx) as nginx_server,
        ServerProcess((), directory=base / "apache", command=apache) as apache_server,
    ):
        ours.wait_until_ready(addresses["uwsgi"], addresses["http"])
        nginx_server.wait_until_ready(addresses["nginx_uwsgi"], addresses["nginx_http"])
        apache_server.wait_until_ready(
            addresses["apache_uwsgi"], addresses["apache_http"]
        )
        yield addresses


DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
REQUESTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("GET", "/files/a.txt", ()),
    ("HEAD", "/files/a.txt", ()),
    ("GET", "/files/large.bin", ()),
    ("HEAD", "/files/large.bin", ()),
    ("GET", "/files/missing", ()),
    ("GET", "/files/%2e%2e/app.py", ()),
    ("GET", "/files/a.txt", ("Range: bytes=2-5",)),
    ("GET", "/files/large.bin", ("Range: bytes=1000000-",)),
    ("GET", "/files/a.txt", ("Range: bytes=50-",)),
    ("GET", "/files/a.txt", (f"If-Modified-Since: {DATE}",)),
    ("HEAD", "/files/a.txt", (f"If-Modified-Since: {DATE}",)),
    ("GET", "/files/a.txt", ('If-None-Match: "other"',)),
    ("GET", "/files/a.txt", ('If-Match: "other"',)),
    ("GET", "/files/a.txt", ("Range: bytes=0-1", f"If-Range: {DATE}")),
]


def ask(address: str, method: str, target: str, fields: tuple[str, ...]) -> Response:
    with Client(address) as client:
        lines = (f"{method} {target} HTTP/1.1", "Host: a.test", "Connection: close")
        client.send("\r\n".join((*lines, *fields)).encode() + b"\r\n\r\n")
        return client.read_response(to_head=method == "HEAD")


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    ("method", "target", "fields"), REQUESTS, ids=lambda value: str(value)[:50]
)
def test_a_front_server_passes_files_on_as_they_are(
    addresses: dict[str, str],
    front: str,
    method: str,
    target: str,
    fields: tuple[str, ...],
) -> None:
    direct = ask(addresses["http"], method, target, fields)
    fronted = ask(addresses[front], method, target, fields)
    if target == "/files/%2e%2e/app.py":
        assert direct.status in (400, 404)
        assert fronted.status in (400, 404)
        return
    assert fronted.status == direct.status
    assert fronted.body == direct.body
    for name in ("Content-Type", "Content-Range", "ETag", "Last-Modified"):
        if direct.status != 304:
            assert fronted.header(name) == direct.header(name), name
    if method == "HEAD" and direct.status == 200:
        assert fronted.header("Content-Length") == direct.header("Content-Length")


@pytest.mark.parametrize("front", FRONTS)
def test_a_tag_is_recognised_through_a_front_server(
    addresses: dict[str, str], front: str
) -> None:
    address = addresses[front]
    tag = ask(address, "GET", "/files/a.txt", ()).header("ETag")
    fields = (f"If-None-Match: {tag}",)
    assert ask(address, "GET", "/files/a.txt", fields).status == 304
