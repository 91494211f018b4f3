"""A configuration of NGINX Unit as an ini file.

Unit runs several applications behind one set of listeners; an ini file runs one. The
first Python application that a listener leads to is taken, the others are named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from geuwsgi.config.convert.writer import IniWriter
from geuwsgi.errors import ConfigError

_SAME = {
    "module": "module",
    "callable": "callable",
    "home": "home",
    "working_directory": "chdir",
    "user": "uid",
    "group": "gid",
}


def convert_unit(text: str, name: str, writer: IniWriter) -> None:
    """Write what a Unit configuration says; raises ConfigError if it is none."""
    try:
        root = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"malformed JSON: {exc}", name) from exc
    if not isinstance(root, dict):
        raise ConfigError("the file is not a JSON object", name)
    writer.option("master", True)
    chosen = _listeners(_mapping(root, "listeners"), writer)
    applications = _mapping(root, "applications")
    chosen = chosen or next(iter(applications), "")
    for application, body in applications.items():
        if application == chosen and isinstance(body, dict):
            _application(application, body, writer)
        else:
            sentence = "one file runs one application; convert it by itself"
            writer.missing(f"application {application!r}", sentence)
    _routes(root.get("routes"), writer)
    http = _mapping(_mapping(root, "settings"), "http")
    for setting, value in http.items():
        _http_setting(setting, value, writer)
    for key in ("access_log", "upstreams", "certificates"):
        if key in root:
            writer.missing(key, "is not carried over")


def _mapping(root: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = root.get(key)
    return value if isinstance(value, dict) else {}


def _listeners(listeners: dict[str, Any], writer: IniWriter) -> str:
    """Write the addresses; the name of the application they lead to."""
    chosen = ""
    for address, body in listeners.items():
        body = body if isinstance(body, dict) else {}
        passed = str(body.get("pass", ""))
        kind, _, target = passed.partition("/")
        if kind == "applications" and not chosen:
            chosen = target.partition("/")[0]
        where = address.removeprefix("*")
        if where.startswith("unix:"):
            writer.option("http-socket", where[5:])
        elif "tls" in body:
            writer.option("https", f"{where},CERTIFICATE.pem,KEY.pem")
            writer.remark(f"https {where}: name the files of the certificate")
        else:
            writer.option("http", where)
        for key in body.keys() - {"pass", "tls"}:
            writer.missing(f"listener {address} {key}", "is not carried over")
    return chosen


def _application(name: str, body: dict[str, Any], writer: IniWriter) -> None:
    kind = str(body.get("type", "")).partition(" ")[0]
    if kind != "python":
        writer.missing(f"application {name!r}", f"its type is {kind!r}, not Python")
        return
    for setting, value in body.items():
        if setting in _SAME:
            writer.option(_SAME[setting], value)
        elif setting in _SPECIAL:
            _SPECIAL[setting](value, writer)
        elif setting != "type":
            writer.missing(f"application {name!r} {setting}", "is not carried over")


def _path(value: Any, writer: IniWriter) -> None:
    for item in value if isinstance(value, list) else [value]:
        writer.option("pythonpath", item)


def _processes(value: Any, writer: IniWriter) -> None:
    if not isinstance(value, dict):
        writer.option("processes", value)
        return
    writer.option("processes", value.get("max", 1))
    if "spare" in value:
        writer.option("cheaper", max(1, int(value["spare"])))
    if "idle_timeout" in value:
        writer.missing("processes idle_timeout", "see 'cheaper-algo'")


def _threads(value: Any, writer: IniWriter) -> None:
    writer.option("gevent", value)
    writer.remark(f"gevent = {value}: greenlets do what {value} threads did")


def _limits(value: Any, writer: IniWriter) -> None:
    limits = value if isinstance(value, dict) else {}
    if "timeout" in limits:
        writer.option("harakiri", limits["timeout"])
    if "requests" in limits:
        writer.option("max-requests", limits["requests"])


def _environment(value: Any, writer: IniWriter) -> None:
    for name, text in (value if isinstance(value, dict) else {}).items():
        writer.option("env", f"{name}={text}")


def _targets(value: Any, writer: IniWriter) -> None:
    for name, target in (value if isinstance(value, dict) else {}).items():
        module = target.get("module", "") if isinstance(target, dict) else ""
        function = target.get("callable", "application") if module else ""
        writer.missing(
            f"target {name!r}", f"mount it: mount = /path={module}:{function}"
        )


def _prefix(value: Any, writer: IniWriter) -> None:
    writer.option("manage-script-name", True)
    writer.remark(
        f"prefix {value!r}: mount the module there instead: mount = {value}=…"
    )


def _log(value: Any, writer: IniWriter) -> None:
    writer.option("logto", value)


_SPECIAL: dict[str, Callable[[Any, IniWriter], None]] = {
    "path": _path,
    "processes": _processes,
    "threads": _threads,
    "limits": _limits,
    "environment": _environment,
    "targets": _targets,
    "prefix": _prefix,
    "stderr": _log,
}


def _routes(routes: Any, writer: IniWriter) -> None:
    steps = routes if isinstance(routes, list) else []
    if isinstance(routes, dict):
        steps = [step for part in routes.values() for step in _as_list(part)]
    for number, step in enumerate(steps, start=1):
        step = step if isinstance(step, dict) else {}
        action = _mapping(step, "action")
        match = _mapping(step, "match")
        uri = match.get("uri")
        share = action.get("share")
        if (
            isinstance(uri, str)
            and uri.endswith("/*")
            and isinstance(share, str)
            and share.endswith("$uri")
        ):
            prefix = uri[:-2]
            writer.option("static-map", f"{prefix}={share[: -len('$uri')]}{prefix}")
        elif str(action.get("pass", "")).startswith("applications/") and not match:
            continue
        else:
            writer.missing(f"route {number}", f"see 'route': {json.dumps(step)}")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _http_setting(setting: str, value: Any, writer: IniWriter) -> None:
    known = {
        "max_body_size": "limit-post",
        "idle_timeout": "http-keepalive",
        "header_read_timeout": "http-headers-timeout",
        "body_read_timeout": "http-timeout",
    }
    if setting in known:
        writer.option(known[setting], value)
    else:
        writer.missing(f"settings http {setting}", "is not carried over")
