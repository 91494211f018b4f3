from __future__ import annotations

import pytest

from geuwsgi.config.convert import convert
from geuwsgi.errors import ConfigError
from tests.config.world import World, read_in

GUNICORN = """\
import multiprocessing
import os

bind = ["0.0.0.0:8000", "unix:/run/app.sock"]
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "gevent"
worker_connections = int(os.getenv("CONNECTIONS", "500"))
timeout = 30
graceful_timeout: int = 20
keepalive = 5
max_requests = 1000
max_requests_jitter = 50
user = "www"
raw_env = ["A=100%", f"B={os.environ['HOME']}"]
umask = 0o027
errorlog = "/var/log/" + (os.environ.get("NAME") or "app") + ".log"
accesslog = "-"
loglevel = "info"
preload_app = True
certfile = None
limit_request_line = 8190
limit_request_fields = 100
daemon = False
secret = load_secret()

def post_fork(server, worker):
    pass

def child_exit(server, worker):
    pass

if os.environ.get("X"):
    workers = 1
"""


def _converted(text: str, name: str) -> list[str]:
    world = World({name: text}, environ={"HOME": "/root"})
    ini = convert(name, world)
    world.files["app.ini"] = ini
    loading = read_in(world, "--ini", "app.ini", "--strict")
    assert [str(error) for error in loading.errors] == []
    return ini.splitlines()


def test_a_gunicorn_file_becomes_an_ini_file_that_checks() -> None:
    lines = _converted(GUNICORN, "gunicorn.conf.py")
    options = lines[1 : lines.index("")]
    assert options == [
        "[uwsgi]",
        "master = true",
        "vacuum = true",
        "http = 0.0.0.0:8000",
        "http-socket = /run/app.sock",
        "gevent = 500",
        "processes = 9",
        "harakiri = 30",
        "worker-reload-mercy = 20",
        "http-keepalive = 5",
        "max-requests = 1000",
        "max-requests-delta = 50",
        "uid = www",
        "env = A=100%%",
        "env = B=/root",
        "umask = 027",
        "logto = /var/log/app.log",
    ]


def test_what_gunicorn_has_and_geuwsgi_has_not_is_named() -> None:
    lines = _converted(GUNICORN, "gunicorn.conf.py")
    missing = lines[lines.index("; without equivalent:") + 1 :]
    assert [line.partition(":")[0] for line in missing] == [
        "; accesslog",
        "; loglevel",
        "; limit_request_line",
        "; limit_request_fields",
        "; post_fork() in line 26",
        "; child_exit() in line 29",
        "; secret in line 24",
        "; If in line 32",
    ]


def test_gunicorn_defaults_are_kept() -> None:
    lines = _converted("threads = 4\n", "gunicorn.conf.py")
    assert "http = 127.0.0.1:8000" in lines
    assert "gevent = 4" in lines
    assert "lazy-apps = true" in lines


def test_gunicorn_certificates_make_https() -> None:
    text = "bind = ':443'\ncertfile = 'c.pem'\nkeyfile = 'k.pem'\n"
    assert "https = :443,c.pem,k.pem" in _converted(text, "gunicorn.conf.py")


@pytest.mark.parametrize(
    "expression",
    [
        "open('/etc/passwd').read()",
        "1 / 0",
        "2 ** 999999999",
        "'a' * 10**9",
        "x.y",
        "[][0]",
    ],
)
def test_a_gunicorn_file_is_not_run(expression: str) -> None:
    lines = _converted(f"workers = {expression}\n", "gunicorn.conf.py")
    assert "; workers in line 1: only running the file could tell" in lines


UNIT = """\
{"listeners": {
   "*:8080": {"pass": "routes"},
   "unix:/run/u.sock": {"pass": "applications/site/api"},
   "*:443": {"pass": "applications/site", "tls": {"certificate": "x"},
             "forwarded": {}}},
 "routes": [
   {"match": {"uri": "/static/*"}, "action": {"share": "/www$uri"}},
   {"match": {"host": "x"}, "action": {"return": 404}},
   {"action": {"pass": "applications/site"}}],
 "settings": {"http": {"max_body_size": 1000, "server_version": false}},
 "access_log": "/var/log/unit.log",
 "applications": {
   "site": {"type": "python 3.11", "path": ["/www", "/lib"], "module": "site.wsgi",
            "processes": {"max": 5, "spare": 2, "idle_timeout": 20},
            "environment": {"A": "1"}, "threads": 3, "user": "www",
            "limits": {"timeout": 10, "requests": 100}, "isolation": {}},
   "go": {"type": "external"}}}
"""


def test_a_unit_file_becomes_an_ini_file_that_checks() -> None:
    lines = _converted(UNIT, "unit.json")
    assert lines[1 : lines.index("")] == [
        "[uwsgi]",
        "master = true",
        "http = :8080",
        "http-socket = /run/u.sock",
        "https = :443,CERTIFICATE.pem,KEY.pem",
        "pythonpath = /www",
        "pythonpath = /lib",
        "module = site.wsgi",
        "processes = 5",
        "cheaper = 2",
        "env = A=1",
        "gevent = 3",
        "uid = www",
        "harakiri = 10",
        "max-requests = 100",
        "static-map = /static=/www/static",
        "limit-post = 1000",
    ]


def test_what_unit_has_and_geuwsgi_has_not_is_named() -> None:
    lines = _converted(UNIT, "unit.json")
    missing = lines[lines.index("; without equivalent:") + 1 :]
    assert [line.partition(":")[0] for line in missing] == [
        "; listener *",
        "; processes idle_timeout",
        "; application 'site' isolation",
        "; application 'go'",
        "; route 2",
        "; settings http server_version",
        "; access_log",
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("unit.json", "{", "unit.json: malformed JSON"),
        ("unit.json", "[]", "unit.json: the file is not a JSON object"),
        ("x.conf.py", "a b", "x.conf.py:1: not Python"),
    ],
)
def test_broken_files_are_errors(name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(name, World({name: text}))
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match="cannot read 'gone"):
        convert("gone.json", World())


@pytest.mark.parametrize(
    "text",
    ["{}", '{"listeners": [], "applications": 3, "routes": {"a": [1]}, "settings": 1}'],
)
def test_odd_unit_files_are_no_tracebacks(text: str) -> None:
    assert "master = true" in convert("u.json", World({"u.json": text}))
