"""Listening sockets."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, MODE, SECONDS, TEXT, TEXTS, Takes


class Sockets(Section):
    """Listening sockets."""

    abstract_socket: bool = option(
        "put unix sockets into the abstract namespace", FLAG, short="a"
    )
    chmod_socket: int | None = option(
        "give unix sockets this mode",
        MODE,
        short="C",
        aliases=("chmod",),
        differs="0660 and true are understood; uWSGI refuses them",
    )
    chown_socket: str | None = option("give unix sockets to this user[:group]", TEXT)
    enable_proxy_protocol: bool = option("expect a PROXY line before requests", FLAG)
    fastcgi_nph_socket: tuple[str, ...] = option(
        "serve FastCGI on this address, with an HTTP status line", TEXTS
    )
    fastcgi_socket: tuple[str, ...] = option("serve FastCGI on this address", TEXTS)
    freebind: bool = option("bind addresses that do not exist yet", FLAG)
    http_socket: tuple[str, ...] = option(
        "serve HTTP on this address, from the workers", TEXTS
    )
    http11_socket: tuple[str, ...] = option(
        "serve HTTP with keep-alive on this address, from the workers",
        TEXTS,
        differs="works with gevent",
    )
    https_socket: tuple[str, ...] = option(
        "serve HTTPS from the workers: address,certificate,key[,ciphers[,client CA]]",
        TEXTS,
    )
    listen: int = option(
        "let this many connections wait to be accepted",
        INT,
        default=4096,
        short="l",
        at_least=0,
        differs="the default is the kernel's limit up to 4096; a number above the limit is no error",
    )
    map_socket: tuple[str, ...] = option(
        "accept a socket only in some workers: number:worker,worker", TEXTS
    )
    protocol: str | None = option(
        "speak this protocol on addresses given with socket",
        TEXT,
        aliases=("socket-protocol",),
    )
    puwsgi_socket: tuple[str, ...] = option(
        "serve the uwsgi protocol with lasting connections on this address", TEXTS
    )
    raw_socket: tuple[str, ...] = option(
        "hand connections to this address to the application as they are", TEXTS
    )
    reuse_port: bool = option("let other processes bind the same address", FLAG)
    scgi_nph_socket: tuple[str, ...] = option(
        "serve SCGI on this address, with an HTTP status line", TEXTS
    )
    scgi_socket: tuple[str, ...] = option("serve SCGI on this address", TEXTS)
    shared_socket: tuple[str, ...] = option(
        "bind an address early, for other options to name as =0, =1 …", TEXTS
    )
    so_keepalive: bool = option(
        "have the kernel probe silent connections", FLAG, default=False
    )
    so_send_timeout: float = option(
        "give up sending after this many seconds",
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
        "serve the uwsgi protocol on this address", TEXTS, short="s"
    )
    socket_rcvbuf: int = option(
        "give sockets a receive buffer of this many bytes", BYTES, at_least=0
    )
    socket_sndbuf: int = option(
        "give sockets a send buffer of this many bytes", BYTES, at_least=0
    )
    socket_timeout: float = option(
        "close a connection whose peer is silent for this many seconds",
        SECONDS,
        default=4.0,
        short="z",
        at_least=0,
    )
    suwsgi_socket: tuple[str, ...] = option(
        "serve the uwsgi protocol in TLS: address,certificate,key",
        TEXTS,
        aliases=("ssl-socket",),
    )
    tcp_fast_open: int = option(
        "let clients send data with their first packet; the number is the queue's length",
        INT,
        aliases=("tcp-fastopen",),
        at_least=0,
        when_true=100,
    )
    tcp_nodelay: bool = option(
        "send small packets without delay", FLAG, default=True, differs="on by default"
    )
    umask: int | None = option("create files with this mask", MODE, takes=Takes.VALUE)
    undeferred_shared_socket: tuple[str, ...] = option(
        "bind an address early, accepting before data arrives", TEXTS
    )
    uwsgi_socket: tuple[str, ...] = option(
        "serve the uwsgi protocol on this address, whatever protocol says", TEXTS
    )
