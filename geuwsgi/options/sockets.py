"""Listening sockets."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MODE, SECONDS, TEXT, TEXTS, Takes


class Sockets(Section):
    """Listening sockets."""

    abstract_socket: bool = option(
        "treat unix socket names as Linux abstract names", FLAG, short="a"
    )
    chmod_socket: int | None = option(
        "mode for unix sockets: exactly three octal digits, or no value for 666",
        MODE,
        short="C",
        aliases=("chmod",),
    )
    chown_socket: str | None = option("user[:group] owner of unix sockets", TEXT)
    enable_proxy_protocol: bool = option(
        "accept a PROXY v1 line before HTTP requests", FLAG
    )
    fastcgi_modifier1: int = option("modifier1 for FastCGI requests", INT, at_least=0)
    fastcgi_modifier2: int = option("modifier2 for FastCGI requests", INT, at_least=0)
    fastcgi_nph_socket: tuple[str, ...] = option(
        "fastCGI listener that sends a full HTTP status line (nph) instead of a Status: header",
        TEXTS,
    )
    fastcgi_socket: tuple[str, ...] = option("listen and speak FastCGI", TEXTS)
    freebind: bool = option("bind addresses that do not exist yet (IP_FREEBIND)", FLAG)
    http_socket: tuple[str, ...] = option(
        "listen and parse HTTP/1.x directly in the workers (one request per connection, no keep-alive)",
        TEXTS,
    )
    http_socket_modifier1: int = option(
        "modifier1 given to requests arriving on http-socket", INT, at_least=0
    )
    http_socket_modifier2: int = option(
        "modifier2 given to requests arriving on http-socket", INT, at_least=0
    )
    http11_socket: tuple[str, ...] = option(
        "http-socket variant with keep-alive; crashes the worker under gevent in the tested build",
        TEXTS,
    )
    https_socket: tuple[str, ...] = option(
        "HTTPS straight in the workers; value addr,cert,key[,ciphers[,client-ca]]; no static/offload on these sockets",
        TEXTS,
    )
    https_socket_modifier1: int = option(
        "modifier1 for requests on https-socket", INT, at_least=0
    )
    https_socket_modifier2: int = option(
        "modifier2 for requests on https-socket", INT, at_least=0
    )
    listen: int = option(
        "listen backlog (startup fails if above somaxconn)",
        INT,
        default=4096,
        short="l",
        at_least=0,
    )
    map_socket: tuple[str, ...] = option(
        "socketnumber:worker[,worker]: accept that socket only in the given workers",
        TEXTS,
    )
    no_fd_passing: bool = option("do not use SCM_RIGHTS features", FLAG)
    protocol: str | None = option(
        "protocol used by plain socket= lines (uwsgi, http, fastcgi, scgi, raw, ...)",
        TEXT,
        aliases=("socket-protocol",),
    )
    puwsgi_socket: tuple[str, ...] = option(
        "listen for the connection-reusing variant of the uwsgi protocol", TEXTS
    )
    raw_modifier1: int = option("modifier1 for raw-socket requests", INT, at_least=0)
    raw_modifier2: int = option("modifier2 for raw-socket requests", INT, at_least=0)
    raw_socket: tuple[str, ...] = option(
        "listener with no request parsing; the app gets the bare connection", TEXTS
    )
    reuse_port: bool = option("SO_REUSEPORT on listeners", FLAG)
    scgi_modifier1: int = option("modifier1 for SCGI requests", INT, at_least=0)
    scgi_modifier2: int = option("modifier2 for SCGI requests", INT, at_least=0)
    scgi_nph_socket: tuple[str, ...] = option(
        "SCGI listener that sends a full HTTP status line (nph)", TEXTS
    )
    scgi_socket: tuple[str, ...] = option("listen and speak SCGI", TEXTS)
    shared_socket: tuple[str, ...] = option(
        "bind early (before dropping privileges) a socket that other options refer to as =N",
        TEXTS,
    )
    so_keepalive: bool = option(
        "SO_KEEPALIVE on listening sockets", FLAG, default=False
    )
    so_send_timeout: float = option(
        "SO_SNDTIMEO on sockets (from the command line it takes no value and ends up as 1)",
        SECONDS,
        aliases=(
            "so-write-timeout",
            "socket-send-timeout",
            "socket-write-timeout",
        ),
        at_least=0,
        when_true=4,
        takes=Takes.MAYBE,
    )
    socket: tuple[str, ...] = option(
        "listen on a unix path, host:port or @abstract name with the default protocol (uwsgi unless protocol= says otherwise)",
        TEXTS,
        short="s",
    )
    socket_rcvbuf: int = option("SO_RCVBUF of listeners", BYTES, at_least=0)
    socket_sndbuf: int = option("SO_SNDBUF of listeners", BYTES, at_least=0)
    socket_timeout: float = option(
        "timeout in seconds for client socket reads/writes (default 4; gevent raises it to at least 30)",
        SECONDS,
        default=4.0,
        short="z",
        at_least=0,
    )
    suwsgi_socket: tuple[str, ...] = option(
        "uwsgi protocol inside TLS; value addr,cert,key[,ciphers[,client-ca]]",
        TEXTS,
        aliases=("ssl-socket",),
    )
    tcp_fast_open: int = option(
        "TCP_FASTOPEN queue length on listeners",
        INT,
        aliases=("tcp-fastopen",),
        at_least=0,
        when_true=100,
    )
    tcp_nodelay: bool = option(
        "TCP_NODELAY on accepted connections", FLAG, default=True
    )
    umask: int | None = option("process umask in octal", MODE, takes=Takes.VALUE)
    undeferred_shared_socket: tuple[str, ...] = option(
        "like shared-socket but without TCP_DEFER_ACCEPT", TEXTS
    )
    uwsgi_socket: tuple[str, ...] = option(
        "listen and always speak the uwsgi binary protocol", TEXTS
    )
