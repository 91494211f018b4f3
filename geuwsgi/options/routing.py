"""Internal routing and error pages."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import TEXTS


class Routing(Section):
    """Internal routing and error pages."""

    error_page_403: tuple[str, ...] = option("answer 403 with this file", TEXTS)
    error_page_404: tuple[str, ...] = option("answer 404 with this file", TEXTS)
    error_page_500: tuple[str, ...] = option("answer 500 with this file", TEXTS)
    error_route: tuple[str, ...] = option(
        "run an action on an error of the server if the path matches: regexp action",
        TEXTS,
    )
    error_route_host: tuple[str, ...] = option(
        "run an action on an error of the server if the Host header matches: regexp action",
        TEXTS,
    )
    error_route_if: tuple[str, ...] = option(
        "run an action on an error of the server if a condition holds: condition action",
        TEXTS,
    )
    error_route_if_not: tuple[str, ...] = option(
        "run an action on an error of the server if a condition fails: condition action",
        TEXTS,
    )
    error_route_label: tuple[str, ...] = option(
        "mark a place that goto leads to, among the rules for an error of the server",
        TEXTS,
    )
    error_route_qs: tuple[str, ...] = option(
        "run an action on an error of the server if the query string matches: regexp action",
        TEXTS,
    )
    error_route_referer: tuple[str, ...] = option(
        "run an action on an error of the server if the referer matches: regexp action",
        TEXTS,
    )
    error_route_remote_addr: tuple[str, ...] = option(
        "run an action on an error of the server if the client's address matches: regexp action",
        TEXTS,
    )
    error_route_remote_user: tuple[str, ...] = option(
        "run an action on an error of the server if the user matches: regexp action",
        TEXTS,
    )
    error_route_run: tuple[str, ...] = option(
        "run an action on an error of the server: action", TEXTS
    )
    error_route_status: tuple[str, ...] = option(
        "run an action on an error of the server if the status matches: regexp action",
        TEXTS,
    )
    error_route_uri: tuple[str, ...] = option(
        "run an action on an error of the server if the request URI matches: regexp action",
        TEXTS,
    )
    error_route_user_agent: tuple[str, ...] = option(
        "run an action on an error of the server if the user agent matches: regexp action",
        TEXTS,
    )
    final_route: tuple[str, ...] = option(
        "run an action on a finished request if the path matches: regexp action", TEXTS
    )
    final_route_host: tuple[str, ...] = option(
        "run an action on a finished request if the Host header matches: regexp action",
        TEXTS,
    )
    final_route_if: tuple[str, ...] = option(
        "run an action on a finished request if a condition holds: condition action",
        TEXTS,
    )
    final_route_if_not: tuple[str, ...] = option(
        "run an action on a finished request if a condition fails: condition action",
        TEXTS,
    )
    final_route_label: tuple[str, ...] = option(
        "mark a place that goto leads to, among the rules for a finished request", TEXTS
    )
    final_route_qs: tuple[str, ...] = option(
        "run an action on a finished request if the query string matches: regexp action",
        TEXTS,
    )
    final_route_referer: tuple[str, ...] = option(
        "run an action on a finished request if the referer matches: regexp action",
        TEXTS,
    )
    final_route_remote_addr: tuple[str, ...] = option(
        "run an action on a finished request if the client's address matches: regexp action",
        TEXTS,
    )
    final_route_remote_user: tuple[str, ...] = option(
        "run an action on a finished request if the user matches: regexp action", TEXTS
    )
    final_route_run: tuple[str, ...] = option(
        "run an action on a finished request: action", TEXTS
    )
    final_route_status: tuple[str, ...] = option(
        "run an action on a finished request if the status matches: regexp action",
        TEXTS,
    )
    final_route_uri: tuple[str, ...] = option(
        "run an action on a finished request if the request URI matches: regexp action",
        TEXTS,
    )
    final_route_user_agent: tuple[str, ...] = option(
        "run an action on a finished request if the user agent matches: regexp action",
        TEXTS,
    )
    response_route: tuple[str, ...] = option(
        "run an action on a response before its headers if the path matches: regexp action",
        TEXTS,
    )
    response_route_host: tuple[str, ...] = option(
        "run an action on a response before its headers if the Host header matches: regexp action",
        TEXTS,
    )
    response_route_if: tuple[str, ...] = option(
        "run an action on a response before its headers if a condition holds: condition action",
        TEXTS,
    )
    response_route_if_not: tuple[str, ...] = option(
        "run an action on a response before its headers if a condition fails: condition action",
        TEXTS,
    )
    response_route_label: tuple[str, ...] = option(
        "mark a place that goto leads to, among the rules for a response before its headers",
        TEXTS,
    )
    response_route_qs: tuple[str, ...] = option(
        "run an action on a response before its headers if the query string matches: regexp action",
        TEXTS,
    )
    response_route_referer: tuple[str, ...] = option(
        "run an action on a response before its headers if the referer matches: regexp action",
        TEXTS,
    )
    response_route_remote_addr: tuple[str, ...] = option(
        "run an action on a response before its headers if the client's address matches: regexp action",
        TEXTS,
    )
    response_route_remote_user: tuple[str, ...] = option(
        "run an action on a response before its headers if the user matches: regexp action",
        TEXTS,
    )
    response_route_run: tuple[str, ...] = option(
        "run an action on a response before its headers: action", TEXTS
    )
    response_route_status: tuple[str, ...] = option(
        "run an action on a response before its headers if the status matches: regexp action",
        TEXTS,
    )
    response_route_uri: tuple[str, ...] = option(
        "run an action on a response before its headers if the request URI matches: regexp action",
        TEXTS,
    )
    response_route_user_agent: tuple[str, ...] = option(
        "run an action on a response before its headers if the user agent matches: regexp action",
        TEXTS,
    )
    route: tuple[str, ...] = option(
        "run an action on a request if the path matches: regexp action", TEXTS
    )
    route_host: tuple[str, ...] = option(
        "run an action on a request if the Host header matches: regexp action", TEXTS
    )
    route_if: tuple[str, ...] = option(
        "run an action on a request if a condition holds: condition action", TEXTS
    )
    route_if_not: tuple[str, ...] = option(
        "run an action on a request if a condition fails: condition action", TEXTS
    )
    route_label: tuple[str, ...] = option(
        "mark a place that goto leads to, among the rules for a request", TEXTS
    )
    route_qs: tuple[str, ...] = option(
        "run an action on a request if the query string matches: regexp action", TEXTS
    )
    route_referer: tuple[str, ...] = option(
        "run an action on a request if the referer matches: regexp action", TEXTS
    )
    route_remote_addr: tuple[str, ...] = option(
        "run an action on a request if the client's address matches: regexp action",
        TEXTS,
    )
    route_remote_user: tuple[str, ...] = option(
        "run an action on a request if the user matches: regexp action", TEXTS
    )
    route_run: tuple[str, ...] = option("run an action on a request: action", TEXTS)
    route_uri: tuple[str, ...] = option(
        "run an action on a request if the request URI matches: regexp action", TEXTS
    )
    route_user_agent: tuple[str, ...] = option(
        "run an action on a request if the user agent matches: regexp action", TEXTS
    )
