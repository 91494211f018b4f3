"""HTTP and HTTPS front end."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Http(Section):
    """HTTP and HTTPS front end."""

    http: tuple[str, ...] = option(
        "serve HTTP on this address",
        TEXTS,
        aliases=("httprouter",),
        differs="served by the workers, unless requests go to other instances",
    )
    http2: bool = option(
        "speak HTTP/2 with clients that can (needs geuwsgi[http2])",
        FLAG,
        since="geuwsgi",
    )
    http_auto_chunked: bool = option(
        "send responses of unknown length in chunks to keep the connection",
        FLAG,
        default=True,
        differs="on by default",
    )
    http_auto_gzip: bool = option(
        "compress responses that carry the header uWSGI-Encoding: gzip", FLAG
    )
    http_backend_http: bool = option(
        "speak HTTP to the backends instead of uwsgi", FLAG, since="2.1"
    )
    http_cheap: bool = option("accept nothing until a backend subscribed", FLAG)
    http_chunked_input: bool = option(
        "take chunked request bodies",
        FLAG,
        default=True,
        differs="on by default, and never needed",
    )
    http_connect_timeout: float = option(
        "wait this many seconds for a backend to accept", SECONDS, at_least=0
    )
    http_enable_proxy_protocol: bool = option(
        "expect a PROXY line before requests on http addresses", FLAG, takes=Takes.MAYBE
    )
    http_fallback: tuple[str, ...] = option(
        "send requests here if no backend answers", TEXTS
    )
    http_gracetime: float = option(
        "leave a dead backend alone for this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
    )
    http_headers_timeout: float = option(
        "wait this many seconds for the head of a request", SECONDS, at_least=0
    )
    http_keepalive: int = option(
        "keep connections open; above 1 the number is the idle time in seconds",
        INT,
        default=1,
        at_least=0,
        when_true=1,
        takes=Takes.MAYBE,
        differs="on by default, with pipelining",
    )
    http_manage_expect: int = option(
        "answer Expect: 100-continue; a number limits the body's bytes",
        INT,
        at_least=0,
        when_true=0,
        takes=Takes.MAYBE,
    )
    http_modifier1: int = option("send this modifier1 to backends", INT, at_least=0)
    http_modifier2: int = option("send this modifier2 to backends", INT, at_least=0)
    http_path_info_no_decode_slashes: bool = option(
        "leave %2F encoded in PATH_INFO", FLAG, takes=Takes.VALUE, since="2.1"
    )
    http_post_buffering: int = option(
        "buffer bodies above this many bytes in the front end",
        INT,
        at_least=0,
        since="2.1",
    )
    http_processes: int = option(
        "run this many router processes, where requests go to other instances",
        INT,
        default=1,
        aliases=("http-workers",),
        at_least=0,
    )
    http_quiet: bool = option("do not log backends that fail", FLAG, takes=Takes.VALUE)
    http_raw_body: bool = option("relay bodies without counting their bytes", FLAG)
    http_resubscribe: tuple[str, ...] = option(
        "forward subscriptions to this server", TEXTS
    )
    http_server_name_as_http_host: bool = option(
        "set SERVER_NAME from the Host header", FLAG, takes=Takes.VALUE
    )
    http_stats: str | None = option(
        "serve statistics of the front end on this address",
        TEXT,
        aliases=(
            "http-ss",
            "http-stats-server",
        ),
    )
    http_subscription_fallback_key: str | None = option(
        "use this key when another has no backend", TEXT
    )
    http_subscription_server: tuple[str, ...] = option(
        "take subscriptions on this address", TEXTS
    )
    http_timeout: float = option(
        "close a connection that is silent for this many seconds",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    http_to: tuple[str, ...] = option("send requests to this backend", TEXTS)
    http_to_https: tuple[str, ...] = option(
        "serve HTTP on this address and redirect it to https", TEXTS
    )
    http_use_base: str | None = option(
        "send requests to the socket in this directory that bears the host's name", TEXT
    )
    http_use_cache: str | None = option(
        "look backends up in a cache", TEXT, takes=Takes.MAYBE
    )
    http_use_code_string: str | None = option("ask this code for the backend", TEXT)
    http_use_pattern: str | None = option(
        "make the backend's address of this pattern and the host", TEXT
    )
    http_var: tuple[str, ...] = option(
        "add a variable to each request: NAME=value", TEXTS
    )
    http_websockets: bool = option(
        "let websockets through",
        FLAG,
        default=True,
        differs="on by default, and never needed",
    )
    http_zerg: tuple[str, ...] = option(
        "take the front end's socket from a zerg server", TEXTS
    )
    https: tuple[str, ...] = option(
        "serve HTTPS: address,certificate,key[,ciphers[,client CA]]",
        TEXTS,
        differs="served by the workers, unless requests go to other instances",
    )
    https_export_cert: bool = option(
        "hand the client's certificate to the application as HTTPS_CC", FLAG
    )
    https2: tuple[str, ...] = option("serve HTTPS: addr=…,cert=…,key=… and more", TEXTS)
    sni: tuple[str, ...] = option(
        "use another certificate for a server name: name certificate,key[,ciphers[,client CA]]",
        TEXTS,
    )
    sni_dir: str | None = option(
        "look for certificates of server names in this directory", TEXT
    )
    sni_dir_ciphers: str | None = option(
        "use these ciphers with certificates of sni-dir", TEXT
    )
    sni_regexp: tuple[str, ...] = option(
        "use another certificate for server names that match: regexp certificate,key",
        TEXTS,
    )
    ssl_option: tuple[str, ...] = option(
        "set options of OpenSSL by number", TEXTS, takes=Takes.MAYBE
    )
    ssl_verbose: bool = option("log more about TLS errors", FLAG)
    trusted_proxies: tuple[str, ...] = option(
        "believe PROXY headers, Forwarded and X-Forwarded-* of these networks only",
        TEXTS,
        since="geuwsgi",
    )
