"""Internal routing and error pages."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import TEXTS


class Routing(Section):
    """Internal routing and error pages."""

    error_page_403: tuple[str, ...] = option(
        "HTML file for 403 produced by the server", TEXTS
    )
    error_page_404: tuple[str, ...] = option(
        "HTML file for 404 produced by the server", TEXTS
    )
    error_page_500: tuple[str, ...] = option(
        "HTML file for 500 produced by the server", TEXTS
    )
    error_route: tuple[str, ...] = option(
        "rule run when the server itself produces an error, on PATH_INFO", TEXTS
    )
    error_route_host: tuple[str, ...] = option("error rule on Host", TEXTS)
    error_route_if: tuple[str, ...] = option("error rule on a condition", TEXTS)
    error_route_if_not: tuple[str, ...] = option(
        "error rule on a failed condition", TEXTS
    )
    error_route_label: tuple[str, ...] = option("label in the error chain", TEXTS)
    error_route_qs: tuple[str, ...] = option("error rule on QUERY_STRING", TEXTS)
    error_route_referer: tuple[str, ...] = option("error rule on referer", TEXTS)
    error_route_remote_addr: tuple[str, ...] = option(
        "error rule on REMOTE_ADDR", TEXTS
    )
    error_route_remote_user: tuple[str, ...] = option(
        "error rule on REMOTE_USER", TEXTS
    )
    error_route_run: tuple[str, ...] = option("unconditional error action", TEXTS)
    error_route_status: tuple[str, ...] = option("error rule on the status", TEXTS)
    error_route_uri: tuple[str, ...] = option("error rule on REQUEST_URI", TEXTS)
    error_route_user_agent: tuple[str, ...] = option("error rule on user agent", TEXTS)
    final_route: tuple[str, ...] = option(
        "rule run after the response, on PATH_INFO", TEXTS
    )
    final_route_host: tuple[str, ...] = option("after-response rule on Host", TEXTS)
    final_route_if: tuple[str, ...] = option(
        "after-response rule on a condition", TEXTS
    )
    final_route_if_not: tuple[str, ...] = option(
        "after-response rule on a failed condition", TEXTS
    )
    final_route_label: tuple[str, ...] = option(
        "label in the after-response chain", TEXTS
    )
    final_route_qs: tuple[str, ...] = option(
        "after-response rule on QUERY_STRING", TEXTS
    )
    final_route_referer: tuple[str, ...] = option(
        "after-response rule on referer", TEXTS
    )
    final_route_remote_addr: tuple[str, ...] = option(
        "after-response rule on REMOTE_ADDR", TEXTS
    )
    final_route_remote_user: tuple[str, ...] = option(
        "after-response rule on REMOTE_USER", TEXTS
    )
    final_route_run: tuple[str, ...] = option(
        "unconditional after-response action", TEXTS
    )
    final_route_status: tuple[str, ...] = option(
        "after-response rule on the status", TEXTS
    )
    final_route_uri: tuple[str, ...] = option(
        "after-response rule on REQUEST_URI", TEXTS
    )
    final_route_user_agent: tuple[str, ...] = option(
        "after-response rule on user agent", TEXTS
    )
    response_route: tuple[str, ...] = option(
        "rule run before response headers are sent, on PATH_INFO", TEXTS
    )
    response_route_host: tuple[str, ...] = option("response rule on Host", TEXTS)
    response_route_if: tuple[str, ...] = option("response rule on a condition", TEXTS)
    response_route_if_not: tuple[str, ...] = option(
        "response rule on a failed condition", TEXTS
    )
    response_route_label: tuple[str, ...] = option("label in the response chain", TEXTS)
    response_route_qs: tuple[str, ...] = option("response rule on QUERY_STRING", TEXTS)
    response_route_referer: tuple[str, ...] = option("response rule on referer", TEXTS)
    response_route_remote_addr: tuple[str, ...] = option(
        "response rule on REMOTE_ADDR", TEXTS
    )
    response_route_remote_user: tuple[str, ...] = option(
        "response rule on REMOTE_USER", TEXTS
    )
    response_route_run: tuple[str, ...] = option("unconditional response action", TEXTS)
    response_route_status: tuple[str, ...] = option(
        "response rule on the status", TEXTS
    )
    response_route_uri: tuple[str, ...] = option("response rule on REQUEST_URI", TEXTS)
    response_route_user_agent: tuple[str, ...] = option(
        "response rule on user agent", TEXTS
    )
    route: tuple[str, ...] = option(
        "request routing rule on PATH_INFO: regexp action:args (all route* need a PCRE build)",
        TEXTS,
    )
    route_host: tuple[str, ...] = option("rule on Host", TEXTS)
    route_if: tuple[str, ...] = option(
        "rule on a condition: cond:args action:args", TEXTS
    )
    route_if_not: tuple[str, ...] = option("rule on a failed condition", TEXTS)
    route_label: tuple[str, ...] = option("target label for goto", TEXTS)
    route_qs: tuple[str, ...] = option("rule on QUERY_STRING", TEXTS)
    route_referer: tuple[str, ...] = option("rule on the referer", TEXTS)
    route_remote_addr: tuple[str, ...] = option("rule on REMOTE_ADDR", TEXTS)
    route_remote_user: tuple[str, ...] = option("rule on REMOTE_USER", TEXTS)
    route_run: tuple[str, ...] = option("unconditional action", TEXTS)
    route_uri: tuple[str, ...] = option("rule on REQUEST_URI", TEXTS)
    route_user_agent: tuple[str, ...] = option("rule on the user agent", TEXTS)
