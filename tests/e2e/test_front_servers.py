"""Behind real nginx and real Apache, over every protocol they speak to us."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from geuwsgi.testing.client import Client, exchange, free_port, get
from geuwsgi.testing.process import ServerProcess

if TYPE_CHECKING:
    from tests.e2e.conftest import Site

FindProgram = Callable[[str], str]

NGINX_CONF = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_max_body_size 20m;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    uwsgi_temp_path {directory}/uwsgi;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    upstream kept_open {{
        server {site.http_socket};
        keepalive 8;
    }}
    server {{
        listen {ports[uwsgi_unix]};
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_pass unix:{site.uwsgi_unix};
        }}
        location /as-it-comes/ {{
            include /etc/nginx/uwsgi_params;
            uwsgi_param PATH_INFO $document_uri;
            uwsgi_buffering off;
            uwsgi_request_buffering off;
            uwsgi_pass unix:{site.uwsgi_unix};
        }}
    }}
    server {{
        listen {ports[uwsgi_tcp]};
        location / {{
            include /etc/nginx/uwsgi_params;
            uwsgi_pass {site.uwsgi};
        }}
    }}
    upstream kept_fastcgi {{
        server unix:{site.fastcgi_unix};
        keepalive 8;
    }}
    server {{
        listen {ports[fastcgi]};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_pass unix:{site.fastcgi_unix};
        }}
    }}
    server {{
        listen {ports[fastcgi_kept_open]};
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_keep_conn on;
            fastcgi_request_buffering off;
            fastcgi_pass kept_fastcgi;
        }}
    }}
    server {{
        listen {ports[scgi]};
        location / {{
            include /etc/nginx/scgi_params;
            scgi_pass unix:{site.scgi_unix};
        }}
    }}
    server {{
        listen {ports[http_kept_open]};
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_pass http://kept_open;
        }}
    }}
    server {{
        listen {ports[http_unbuffered]};
        location / {{
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_pass http://{site.http};
        }}
    }}
    server {{
        listen {ports[http_unix]};
        location / {{
            proxy_pass http://unix:{site.http_unix}:;
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
LoadModule proxy_uwsgi_module {modules}/mod_proxy_uwsgi.so
LoadModule proxy_fcgi_module {modules}/mod_proxy_fcgi.so
LoadModule proxy_scgi_module {modules}/mod_proxy_scgi.so
StartServers 1
ThreadsPerChild 16
MaxRequestWorkers 16
ServerLimit 1
MinSpareThreads 1
MaxSpareThreads 16
Listen {ports[apache_uwsgi]}
Listen {ports[apache_http]}
Listen {ports[apache_fastcgi]}
Listen {ports[apache_scgi]}
<VirtualHost {ports[apache_uwsgi]}>
    ProxyPass "/" "uwsgi://{site.uwsgi}/"
</VirtualHost>
<VirtualHost {ports[apache_http]}>
    ProxyPass "/" "http://{site.http}/"
</VirtualHost>
<VirtualHost {ports[apache_fastcgi]}>
    ProxyPass "/" "unix:{site.fastcgi_unix}|fcgi://localhost/"
</VirtualHost>
<VirtualHost {ports[apache_scgi]}>
    ProxyPass "/" "unix:{site.scgi_unix}|scgi://localhost/"
</VirtualHost>
"""

NGINX = [
    *("uwsgi_unix", "uwsgi_tcp", "http_kept_open", "http_unbuffered", "http_unix"),
    *("fastcgi", "fastcgi_kept_open", "scgi"),
]
APACHE = ["apache_uwsgi", "apache_http", "apache_fastcgi", "apache_scgi"]


@pytest.fixture(scope="module")
def ports(
    site: Site, program: FindProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The addresses of the front servers, by what they speak behind."""
    directory = tmp_path_factory.mktemp("front")
    ports = {name: f"127.0.0.1:{free_port()}" for name in NGINX + APACHE}
    nginx_conf = directory / "nginx.conf"
    nginx_conf.write_text(
        NGINX_CONF.format(
            directory=directory,
            site=site,
            ports=ports,
            # Its workers must reach into the test's directory.
            user="user root;" if os.getuid() == 0 else "",
        )
    )
    apache_conf = directory / "apache.conf"
    apache_conf.write_text(
        APACHE_CONF.format(
            directory=directory,
            site=site,
            ports=ports,
            modules=apache_modules(),
        )
    )
    nginx_directory = directory / "nginx"
    apache_directory = directory / "apache"
    nginx_directory.mkdir()
    apache_directory.mkdir()
    nginx = [program("nginx"), "-e", "stderr", "-c", str(nginx_conf)]
    apache = [program("apache2"), "-f", str(apache_conf), "-DFOREGROUND"]
    with (
        ServerProcess((), directory=nginx_directory, command=nginx) as nginx_server,
        ServerProcess((), directory=apache_directory, command=apache) as apache_server,
    ):
        nginx_server.wait_until_ready(*(ports[name] for name in NGINX))
        apache_server.wait_until_ready(*(ports[name] for name in APACHE))
        yield ports


def apache_modules() -> str:
    for place in ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules"):
        if Path(place).is_dir():
            return place
    return "modules"


@pytest.fixture(params=NGINX + APACHE)
def front(request: pytest.FixtureRequest, ports: dict[str, str]) -> str:
    return ports[request.param]


def test_a_page_is_served(front: str) -> None:
    for _ in range(5):
        response = get(front, "/")
        assert (response.status, response.body) == (200, b"hello")


def test_many_requests_on_one_connection(front: str) -> None:
    with Client(front) as client:
        for _ in range(30):
            assert client.request("/").body == b"hello"


def test_the_application_sees_what_the_visitor_asked(front: str) -> None:
    response = get(front, "/environ/a%20b?x=1&y=%2F")
    shown = json.loads(response.body)
    assert shown["SCRIPT_NAME"] == ""
    assert shown["PATH_INFO"] == "/environ/a b"
    assert shown["QUERY_STRING"] == "x=1&y=%2F"
    assert shown["REQUEST_METHOD"] == "GET"
    assert shown["wsgi.url_scheme"] == "http"


def test_a_form_is_sent_on(front: str) -> None:
    with Client(front) as client:
        for body in (b"a=1", b"x" * 100_000, b"y" * 3_000_000):
            answer = client.request("/echo-by-length", method="POST", body=body)
            assert answer.body == body


@pytest.mark.parametrize(
    "front",
    # mod_proxy_uwsgi and mod_proxy_scgi answer 411 themselves.
    [*NGINX, "apache_http", "apache_fastcgi"],
    indirect=True,
)
def test_a_chunked_upload_is_sent_on(front: str) -> None:
    response = exchange(
        front,
        b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n7\r\n second\r\n0\r\n\r\n",
    )
    assert (response.status, response.body) == (200, b"first second")


def test_a_body_nobody_reads_does_not_matter(front: str) -> None:
    for _ in range(3):
        with Client(front) as client:
            answer = client.request(
                "/ignore-body", method="POST", body=b"z" * 2_000_000
            )
            assert (answer.status, answer.body) == (200, b"not read")


def test_head_and_statuses_without_a_body(front: str) -> None:
    with Client(front) as client:
        assert client.request("/", method="HEAD").status == 200
        assert client.request("/no-body").status == 204
        assert client.request("/not-modified").status == 304
        assert client.request("/").body == b"hello"


def test_a_large_response_comes_whole(front: str) -> None:
    response = get(front, "/big?size=3000000", timeout=30)
    assert response.complete
    assert response.body == (bytes(range(256)) * 12000)[:3_000_000]


def test_a_response_of_unknown_length_comes_whole(front: str) -> None:
    assert get(front, "/stream").body == b"piece 0\npiece 1\npiece 2\n"


def test_a_crash_of_the_application_is_a_500(front: str) -> None:
    assert get(front, "/error").status == 500
    assert get(front, "/").status == 200


def test_cookies_stay_apart(front: str) -> None:
    response = get(front, "/fields")
    assert response.status == 299
    assert response.header_values("Set-Cookie") == ["a=1", "b=2"]


def test_a_long_poll_is_answered_when_it_is_woken(front: str, site: Site) -> None:
    with Client(front) as waiting:
        waiting.send(b"GET /wait?condition HTTP/1.1\r\nHost: a\r\n\r\n")
        site.server.wait_for(
            lambda: get(site.http, "/waiting").body == b"1", "has a request waiting"
        )
        assert get(front, "/wake?condition").body == b"woken"
        assert waiting.read_response().body == b"True"


def test_pieces_pass_through_when_the_front_server_lets_them(
    ports: dict[str, str],
) -> None:
    with Client(ports["http_unbuffered"]) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"piece 1" not in client.read_until(b"piece 0\n")
        assert client.read_until(b"piece 2\n").endswith(b"piece 2\n")


def test_an_unbuffered_upload_to_the_uwsgi_socket(ports: dict[str, str]) -> None:
    with Client(ports["uwsgi_unix"]) as client:
        answer = client.request("/as-it-comes/", method="POST", body=b"x" * 100_000)
        assert answer.status == 404
        assert client.request("/").body == b"hello"


def test_nginx_keeps_its_connections_to_us(ports: dict[str, str], site: Site) -> None:
    for _ in range(20):
        get(ports["http_kept_open"], "/")
    assert "upstream prematurely closed" not in site.server.log
