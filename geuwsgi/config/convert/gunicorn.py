"""gunicorn.conf.py as an ini file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geuwsgi.config.convert.literal import read_python
from geuwsgi.config.convert.writer import IniWriter
from geuwsgi.config.host import Host

_SAME = {
    "wsgi_app": "module",
    "workers": "processes",
    "max_requests": "max-requests",
    "max_requests_jitter": "max-requests-delta",
    "backlog": "listen",
    "user": "uid",
    "group": "gid",
    "pidfile": "pidfile",
    "chdir": "chdir",
    "pythonpath": "pythonpath",
    "proc_name": "procname",
    "paste": "paste",
    "graceful_timeout": "worker-reload-mercy",
    "proxy_protocol": "enable-proxy-protocol",
    "reuse_port": "reuse-port",
}
_WITHOUT = {
    "accesslog": "requests are logged with everything else; see 'req-logger'",
    "ca_certs": "goes into the value of 'https', after the ciphers",
    "capture_output": "output is always in the log",
    "cert_reqs": "clients are asked for certificates if 'https' names a client CA",
    "check_config": "is what 'geuwsgi check' does",
    "ciphers": "goes into the value of 'https'",
    "config": "files are read with 'include'",
    "default_proc_name": "see 'procname'",
    "do_handshake_on_connect": "handshakes are always made by the connection",
    "dogstatsd_tags": "statsd gets no tags",
    "forwarded_allow_ips": "addresses are not taken from headers; the front server"
    " tells them",
    "initgroups": "the user's groups are always taken",
    "logconfig": "set logging up in the application",
    "logconfig_dict": "set logging up in the application",
    "logger_class": "set logging up in the application",
    "loglevel": "the log has no levels",
    "print_config": "is 'show-config'",
    "reload_engine": "files are looked at in intervals",
    "secure_scheme_headers": "the front server tells the scheme",
    "sendfile": "is on unless 'disable-sendfile' is given",
    "spew": "there is no trace of lines",
    "ssl_version": "the best version both sides know is used",
    "strip_header_spaces": "such headers are refused",
    "tmp_upload_dir": "see 'post-buffering' and TMPDIR",
    "worker_tmp_dir": "workers need no file to show that they live",
}
_HOOKS = {
    "on_starting": "hook-asap",
    "when_ready": "hook-accepting1-once",
    "post_fork": "@uwsgidecorators.postfork in the application",
    "post_worker_init": "@uwsgidecorators.postfork in the application",
    "on_exit": "uwsgi.atexit in the application",
    "worker_exit": "uwsgi.atexit in the application",
    "post_request": "uwsgi.after_req_hook in the application",
}


def convert_gunicorn(text: str, name: str, writer: IniWriter, host: Host) -> None:
    """Write what a gunicorn.conf.py says; raises ConfigError if it is no Python."""
    contents = read_python(text, name, host)
    values: dict[str, Any] = dict(contents.values)
    writer.option("master", True)
    writer.option("vacuum", True)
    _bind(values, writer)
    _cores(values, writer)
    for setting, value in values.items():
        if value is None or value is False:
            continue
        if setting in _SAME:
            writer.option(_SAME[setting], value)
        elif setting in _SPECIAL:
            _SPECIAL[setting](value, writer)
        elif setting in _WITHOUT:
            writer.missing(setting, _WITHOUT[setting])
        elif setting in _KNOWN:
            writer.missing(setting, "geuwsgi has its own limits")
    if not values.get("preload_app"):
        writer.option("lazy-apps", True)
    for function, line in contents.functions:
        writer.missing(f"{function}() in line {line}", _hook(function))
    for what, line in contents.unclear:
        writer.missing(f"{what} in line {line}", "only running the file could tell")


def _hook(function: str) -> str:
    known = _HOOKS.get(function)
    return f"see {known}" if known else "there is no such hook"


def _bind(values: dict[str, Any], writer: IniWriter) -> None:
    found = values.pop("bind", None) or "127.0.0.1:8000"
    certificate = values.pop("certfile", None)
    key = values.pop("keyfile", None)
    for address in found if isinstance(found, list) else [found]:
        text = str(address)
        if text.startswith("unix:"):
            writer.option("http-socket", text[5:].removeprefix("//"))
        elif certificate:
            writer.option("https", f"{text},{certificate},{key or certificate}")
        else:
            writer.option("http", text)


def _cores(values: dict[str, Any], writer: IniWriter) -> None:
    worker = str(values.pop("worker_class", "sync"))
    connections = values.pop("worker_connections", 1000)
    threads = values.pop("threads", 1)
    if "gevent" in worker or "eventlet" in worker:
        writer.option("gevent", connections)
    elif isinstance(threads, int) and threads > 1:
        writer.option("gevent", threads)
        writer.remark(f"gevent = {threads}: greenlets do what {threads} threads did")
    if worker not in ("sync", "gthread", "gevent"):
        writer.remark(f"worker_class {worker!r}: all workers are gevent's")


def _timeout(value: Any, writer: IniWriter) -> None:
    writer.option("harakiri", value)
    writer.remark("harakiri ends one request; timeout ends a worker that is silent")


def _keepalive(value: Any, writer: IniWriter) -> None:
    writer.option("http-keepalive", value)


def _umask(value: Any, writer: IniWriter) -> None:
    writer.option("umask", f"{value:03o}" if isinstance(value, int) else value)


def _environment(value: Any, writer: IniWriter) -> None:
    for item in value if isinstance(value, list) else [value]:
        writer.option("env", item)


def _daemon(value: Any, writer: IniWriter) -> None:
    writer.option("daemonize", "/dev/null")


def _log(value: Any, writer: IniWriter) -> None:
    if value != "-":
        writer.option("logto", value)


def _reload(value: Any, writer: IniWriter) -> None:
    writer.option("py-autoreload", 1)


def _preload(value: Any, writer: IniWriter) -> None:
    """Applications are loaded before workers are forked unless lazy-apps says no."""


def _statsd(value: Any, writer: IniWriter) -> None:
    writer.option("stats-push", f"statsd:{value}")


def _head(value: Any, writer: IniWriter) -> None:
    writer.missing("limit_request_line", "one limit for the whole head: 'buffer-size'")


def _format(value: Any, writer: IniWriter) -> None:
    writer.missing("access_log_format", f"write {value!r} anew as 'log-format'")


_SPECIAL: dict[str, Callable[[Any, IniWriter], None]] = {
    "timeout": _timeout,
    "keepalive": _keepalive,
    "umask": _umask,
    "raw_env": _environment,
    "daemon": _daemon,
    "errorlog": _log,
    "reload": _reload,
    "preload_app": _preload,
    "statsd_host": _statsd,
    "limit_request_line": _head,
    "access_log_format": _format,
}
_KNOWN = frozenset({"limit_request_fields", "limit_request_field_size"})
