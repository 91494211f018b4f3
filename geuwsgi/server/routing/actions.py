"""Actions on the request itself: variables, flow, log, rewriting, redirects."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from geuwsgi.errors import ConfigError
from geuwsgi.protocol.http1 import remove_dot_segments
from geuwsgi.server.routing.answers import (
    answer,
    answer_status,
    as_uri,
    drop,
    field_value,
)
from geuwsgi.server.routing.kit import Kit
from geuwsgi.server.routing.visit import Outcome
from geuwsgi.server.static.paths import file_system_path

if TYPE_CHECKING:
    from geuwsgi.server.routing.visit import Visit

Action = Callable[["Visit"], Outcome]
ActionFactory = Callable[[str, Kit], Action]


def _last(argument: str, kit: Kit) -> Action:
    return lambda visit: Outcome.LAST


def parse_status(text: str, action: str) -> tuple[int, str]:
    """Parse ``403 Forbidden`` or ``403``."""
    digits, _, reason = text.strip().partition(" ")
    if len(digits) != 3 or not digits.isdigit() or not "200" <= digits <= "999":
        raise ConfigError(f"{action} needs a status between 200 and 999: {text!r}")
    return int(digits), reason.strip()


def _return(argument: str, kit: Kit) -> Action:
    code, reason = parse_status(argument, "return")

    def act(visit: Visit) -> Outcome:
        answer_status(visit.exchange, code, reason)
        return Outcome.BREAK

    return act


def _break(argument: str, kit: Kit) -> Action:
    if not argument.strip():

        def leave(visit: Visit) -> Outcome:
            drop(visit.exchange)
            return Outcome.BREAK

        return leave
    code, reason = parse_status(argument, "break")

    def act(visit: Visit) -> Outcome:
        exchange = visit.exchange
        exchange.keep_alive = False
        status = f"{code} {reason}".rstrip()
        answer(exchange, status, b"", [("Content-Type", "text/plain")])
        return Outcome.BREAK

    return act


def _goto(argument: str, kit: Kit) -> Action:
    label = argument.strip()
    if not label:
        raise ConfigError("goto needs a label")

    def act(visit: Visit) -> Outcome:
        visit.label = label
        return Outcome.NEXT

    return act


def _assignment(
    argument: str, action: str, kit: Kit
) -> tuple[str, Callable[[Visit], str]]:
    name, equals, value = argument.partition("=")
    if not equals or not name:
        raise ConfigError(f"{action} needs name=value: {argument!r}")
    return name, kit.template(value).render


def _addvar(argument: str, kit: Kit) -> Action:
    name, render = _assignment(argument, "addvar", kit)
    if name.startswith("wsgi."):
        raise ConfigError(f"addvar may not replace the server's own {name!r}")

    def act(visit: Visit) -> Outcome:
        visit.environ[name] = render(visit)
        return Outcome.NEXT

    return act


def _logvar(argument: str, kit: Kit) -> Action:
    name, render = _assignment(argument, "logvar", kit)

    def act(visit: Visit) -> Outcome:
        visit.exchange.set_logvar(name, render(visit).encode("latin-1"))
        return Outcome.NEXT

    return act


def _log(argument: str, kit: Kit) -> Action:
    template = kit.template(argument)

    def act(visit: Visit) -> Outcome:
        # One line a message, whatever the client put into its path.
        text = template.render(visit)
        kit.report("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text))
        return Outcome.NEXT

    return act


def _donotlog(argument: str, kit: Kit) -> Action:
    def act(visit: Visit) -> Outcome:
        visit.exchange.log_this = False
        return Outcome.NEXT

    return act


def _nothing(argument: str, kit: Kit) -> Action:
    return lambda visit: Outcome.NEXT


def _setter(
    change: Callable[[Visit, str], None],
) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        template = kit.template(argument)

        def act(visit: Visit) -> Outcome:
            change(visit, template.render(visit))
            return Outcome.NEXT

        return act

    return make


def _sets(*names: str) -> ActionFactory:
    def change(visit: Visit, value: str) -> None:
        for name in names:
            visit.environ[name] = value

    return _setter(change)


def _set_uri(visit: Visit, uri: str) -> None:
    visit.environ["REQUEST_URI"] = uri


def _fix_path_info(visit: Visit, argument: str) -> None:
    script_name = visit.variable("SCRIPT_NAME")
    path_info = visit.variable("PATH_INFO")
    if script_name and path_info.startswith(script_name):
        visit.environ["PATH_INFO"] = path_info[len(script_name) :]


def _chdir(argument: str, kit: Kit) -> Action:
    template = kit.template(argument)

    def act(visit: Visit) -> Outcome:
        try:
            os.chdir(file_system_path(template.render(visit)))
        except (OSError, ValueError) as exc:
            kit.report(f"chdir: {exc}")
            answer_status(visit.exchange, 500)
            return Outcome.BREAK
        return Outcome.NEXT

    return act


def _harakiri(argument: str, kit: Kit) -> Action:
    try:
        seconds = float(argument)
    except ValueError:
        raise ConfigError(f"harakiri needs seconds: {argument!r}") from None

    def act(visit: Visit) -> Outcome:
        visit.exchange.set_deadline(seconds)
        return Outcome.NEXT

    return act


def _signal(argument: str, kit: Kit) -> Action:
    raise_signal = kit.signal
    if raise_signal is None:
        raise ConfigError("signal: there are no uwsgi signals in this process")
    if not argument.isdigit() or int(argument) > 255:
        raise ConfigError(f"signal needs a number below 256: {argument!r}")
    number = int(argument)

    def act(visit: Visit) -> Outcome:
        raise_signal(number)
        return Outcome.NEXT

    return act


def _alarm(argument: str, kit: Kit) -> Action:
    raise_alarm = kit.alarm
    if raise_alarm is None:
        raise ConfigError("alarm: there are no alarms in this process")
    name, blank, message = argument.partition(" ")
    if not blank:
        raise ConfigError(f"alarm needs a name and a message: {argument!r}")
    template = kit.template(message)

    def act(visit: Visit) -> Outcome:
        raise_alarm(name, template.render(visit))
        return Outcome.NEXT

    return act


def _redirect(status: str, body: bytes) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        template = kit.template(argument)

        def act(visit: Visit) -> Outcome:
            location = as_uri(template.render(visit))
            answer(visit.exchange, status, body, [("Location", location)])
            return Outcome.BREAK

        return act

    return make


def _rewrite(outcome: Outcome) -> ActionFactory:
    def make(argument: str, kit: Kit) -> Action:
        # The configuration's "?" counts, not one that a client sent as %3F. Nor is
        # the result decoded, as uWSGI does: what came as %252e would become a dot.
        path_text, question, query_text = argument.partition("?")
        path, query = kit.template(path_text), kit.template(query_text)

        def act(visit: Visit) -> Outcome:
            environ = visit.environ
            new_path = path.render(visit)
            if new_path.startswith("/"):
                new_path = remove_dot_segments(new_path)
            if question:
                old = visit.variable("QUERY_STRING")
                new = as_uri(query.render(visit))
                environ["QUERY_STRING"] = f"{new}&{old}" if old else new
            environ["PATH_INFO"] = new_path
            return outcome

        return act

    return make


def add_header(argument: str, kit: Kit) -> Action:
    """``addheader:Name: value``: add a field to the response."""
    name, colon, value = argument.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f"addheader needs 'Name: value': {argument!r}")
    name = name.strip()
    template = kit.template(value.strip())

    def act(visit: Visit) -> Outcome:
        value = field_value(template.render(visit), f"the header field {name}")
        visit.exchange.add_header(name, value)
        return Outcome.NEXT

    return act


def _only_python(argument: str, kit: Kit) -> Action:
    if argument.strip() not in ("", "0"):
        raise ConfigError(f"there is no plugin of modifier {argument!r}, only Python")
    return _nothing(argument, kit)


REQUEST_ACTIONS: Mapping[str, ActionFactory] = {
    "addvar": _addvar,
    "alarm": _alarm,
    "break": _break,
    "break-with-status": _break,
    "chdir": _chdir,
    "continue": _last,
    "donotlog": _donotlog,
    "donotoffload": _nothing,
    "fixpathinfo": _setter(_fix_path_info),
    "flush": _nothing,
    "goto": _goto,
    "harakiri": _harakiri,
    "last": _last,
    "log": _log,
    "logvar": _logvar,
    "redirect": _redirect("302 Found", b"Moved"),
    "redirect-302": _redirect("302 Found", b"Moved"),
    "redirect-301": _redirect("301 Moved Permanently", b"Moved Permanently"),
    "redirect-permanent": _redirect("301 Moved Permanently", b"Moved Permanently"),
    "return": _return,
    "rewrite": _rewrite(Outcome.NEXT),
    "rewrite-last": _rewrite(Outcome.LAST),
    "setapp": _sets("UWSGI_APPID"),
    "setdocroot": _sets("DOCUMENT_ROOT"),
    "setfile": _sets("UWSGI_FILE"),
    "sethome": _sets("UWSGI_HOME"),
    "setmethod": _sets("REQUEST_METHOD"),
    "setmodifier1": _only_python,
    "setmodifier2": _nothing,
    "setpathinfo": _sets("PATH_INFO"),
    "setremoteaddr": _sets("REMOTE_ADDR"),
    "setscheme": _sets("UWSGI_SCHEME", "wsgi.url_scheme"),
    "setscriptname": _sets("SCRIPT_NAME"),
    "seturi": _setter(_set_uri),
    "setuser": _sets("REMOTE_USER"),
    "setvar": _addvar,
    "signal": _signal,
}
"""Actions that need no more than the request and the kit."""
