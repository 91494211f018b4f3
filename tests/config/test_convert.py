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


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("4 - 1", "3"),
        ("7 // 2", "3"),
        ("max(1, 2) * 2", "4"),
        ("min(5, 3)", "3"),
        ("int('6')", "6"),
        ("int(2.9)", "2"),
        ("float('2')", "2.0"),
        ("bool(1)", "true"),
        ("os.cpu_count()", "4"),
        ("None or 3", "3"),
        ("3 + 2", "5"),
    ],
)
def test_expressions_of_gunicorn_files_are_understood(
    expression: str, value: str
) -> None:
    text = f"import os\nworkers = {expression}\n"
    ini = convert("g.conf.py", World({"g.conf.py": text}))
    assert f"processes = {value}\n" in ini


@pytest.mark.parametrize(
    "expression",
    [
        "-x",
        "os.getenv()",
        "int('x')",
        "'a' - 1",
        "max('a', 'b')",
        "10 ** 20",
        "f'{1:>5}'",
        "print(1)",
        "-'a'",
        "1e300 * 1e300",
    ],
)
def test_expressions_that_only_a_run_could_tell_are_named(expression: str) -> None:
    ini = convert("g.conf.py", World({"g.conf.py": f"workers = {expression}\n"}))
    assert "; workers in line 1: only running the file could tell" in ini


def test_lists_names_and_dictionaries_of_gunicorn_files_are_understood() -> None:
    text = (
        "port: str\n"
        "port = '80'\n"
        "bind = ['a:' + port] + ['b:' + port]\n"
        "logconfig_dict = {'version': 1}\n"
        "raw_env = 'A=1'\n"
        "umask = '022'\n"
        "worker_class = 'tornado'\n"
        "daemon = True\n"
        "errorlog = '-'\n"
        "reload = True\n"
        "statsd_host = 'h:8125'\n"
        "access_log_format = '%(h)s'\n"
        "spare_setting = 1\n"
        "a, b = 1, 2\n"
    )
    lines = _converted(text, "g.conf.py")
    for line in (
        "http = a:80",
        "http = b:80",
        "env = A=1",
        "umask = 022",
        "daemonize = /dev/null",
        "py-autoreload = 1",
        "stats-push = statsd:h:8125",
        "; worker_class 'tornado': all workers are gevent's",
        "; logconfig_dict: set logging up in the application",
        "; access_log_format: write '%(h)s' anew as 'log-format'",
    ):
        assert line in lines
    assert not any(line.startswith("logto") for line in lines)


def test_more_of_a_unit_file() -> None:
    text = """{"listeners": {"*:80": {"pass": "applications/a"}},
     "applications": {"a": {"type": "python", "path": "/x", "processes": 3,
      "prefix": "/p", "stderr": "/var/log/a", "limits": 1, "environment": [],
      "targets": {"t": {"module": "m", "callable": "c"}, "u": 1}},
      "b": {"type": "python"}},
     "routes": {"main": [{"match": {"uri": "/s/*"}, "action": {"share": ["a"]}}]}}"""
    lines = _converted(text, "unit.json")
    for line in (
        "pythonpath = /x",
        "processes = 3",
        "manage-script-name = true",
        "logto = /var/log/a",
        "; target 't': mount it: mount = /path=m:c",
        "; application 'b': one file runs one application; convert it by itself",
    ):
        assert line in lines
    assert any(line.startswith("; route 1: see 'route'") for line in lines)


def test_an_application_that_is_not_python_is_named() -> None:
    text = (
        '{"listeners": {"*:80": {"pass": "applications/a"}},'
        ' "applications": {"a": {"type": "php"}}}'
    )
    assert "; application 'a': its type is 'php', not Python" in _converted(
        text, "unit.json"
    )
