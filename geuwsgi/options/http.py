"""HTTP and HTTPS front end."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import BYTES, FLAG, INT, SECONDS, TEXT, TEXTS, Takes


class Http(Section):
    """HTTP and HTTPS front end."""

    http: tuple[str, ...] = option(
        "HTTP front-end process on an address that talks uwsgi to the workers",
        TEXTS,
        aliases=("httprouter",),
    )
    http_auto_chunked: bool = option(
        "chunk responses of unknown length on keep-alive connections",
        FLAG,
        default=True,
    )
    http_auto_gzip: bool = option("gzip responses carrying uWSGI-Encoding: gzip", FLAG)
    http_backend_http: bool = option("speak HTTP to the backends", FLAG, since="2.1")
    http_buffer_size: int = option("buffer size (default page size)", BYTES, at_least=0)
    http_cheap: bool = option("do not accept until a node subscribes", FLAG)
    http_chunked_input: bool = option(
        "detect chunked uploads and switch to raw relay", FLAG, default=True
    )
    http_connect_timeout: float = option(
        "timeout for connecting to backends", SECONDS, at_least=0
    )
    http_enable_proxy_protocol: bool = option(
        "PROXY v1 lines on front-end connections", FLAG, takes=Takes.MAYBE
    )
    http_events: int = option("events per loop", INT, at_least=0)
    http_fallback: tuple[str, ...] = option("backend of last resort", TEXTS)
    http_gid: str | None = option("gid of the front-end", TEXT)
    http_gracetime: float = option(
        "seconds before retrying a dead backend", SECONDS, default=30.0, at_least=0
    )
    http_harakiri: float = option("harakiri of the front-end", SECONDS, at_least=0)
    http_headers_timeout: float = option(
        "timeout for request headers", SECONDS, at_least=0
    )
    http_keepalive: int = option(
        "keep client connections open (optional timeout); no pipelining",
        INT,
        default=1,
        at_least=0,
        when_true=1,
        takes=Takes.MAYBE,
    )
    http_manage_expect: int = option(
        "answer 100-continue, or 413 above an optional Content-Length limit",
        INT,
        at_least=0,
        when_true=0,
        takes=Takes.MAYBE,
    )
    http_modifier1: int = option("modifier1 sent to backends", INT, at_least=0)
    http_modifier2: int = option("modifier2 sent to backends", INT, at_least=0)
    http_path_info_no_decode_slashes: bool = option(
        "keep %2F encoded in PATH_INFO", FLAG, takes=Takes.VALUE, since="2.1"
    )
    http_post_buffering: int = option(
        "buffer bodies in the front-end", INT, at_least=0, since="2.1"
    )
    http_processes: int = option(
        "number of front-end processes",
        INT,
        default=1,
        aliases=("http-workers",),
        at_least=0,
        when_true=1,
    )
    http_quiet: bool = option(
        "do not log failed backends (needs a value)", FLAG, takes=Takes.VALUE
    )
    http_raw_body: bool = option("relay the body without counting", FLAG)
    http_resubscribe: tuple[str, ...] = option("forward subscriptions upstream", TEXTS)
    http_server_name_as_http_host: bool = option(
        "SERVER_NAME taken from the Host header (needs a value)",
        FLAG,
        takes=Takes.VALUE,
    )
    http_stats: str | None = option(
        "stats server of the front-end",
        TEXT,
        aliases=(
            "http-ss",
            "http-stats-server",
        ),
    )
    http_stud_prefix: tuple[str, ...] = option(
        "addresses allowed to send a stud address prefix", TEXTS
    )
    http_subscription_fallback_key: str | None = option(
        "fallback subscription key", TEXT
    )
    http_subscription_server: tuple[str, ...] = option(
        "subscription listener address", TEXTS
    )
    http_timeout: float = option(
        "front-end timeout in seconds (default 60)", SECONDS, default=60.0, at_least=0
    )
    http_to: tuple[str, ...] = option("fixed backend; repeat for balancing", TEXTS)
    http_to_https: tuple[str, ...] = option(
        "plain HTTP address that redirects to https (addr[,https addr])", TEXTS
    )
    http_uid: str | None = option("uid of the front-end", TEXT)
    http_use_base: str | None = option(
        "directory of unix sockets named after the host", TEXT
    )
    http_use_cache: str | None = option(
        "find backends in a cache (key = host)", TEXT, takes=Takes.MAYBE
    )
    http_use_code_string: str | None = option("find backends by running code", TEXT)
    http_use_pattern: str | None = option("backend pattern with %s", TEXT)
    http_use_socket: str | None = option(
        "use a worker socket as backend", TEXT, takes=Takes.MAYBE
    )
    http_var: tuple[str, ...] = option("extra key=value sent with each request", TEXTS)
    http_websockets: bool = option(
        "detect websocket upgrades and switch to raw relay", FLAG, default=True
    )
    http_zerg: tuple[str, ...] = option("take the socket from a zerg server", TEXTS)
    https: tuple[str, ...] = option(
        "HTTPS front-end: addr,cert,key[,ciphers[,ca]]", TEXTS
    )
    https_export_cert: bool = option("export the client certificate as HTTPS_CC", FLAG)
    https_session_context: str | None = option("TLS session id context string", TEXT)
    https2: tuple[str, ...] = option("HTTPS/SPDY front-end in keyval form", TEXTS)
    sni: tuple[str, ...] = option(
        "extra certificate by server name: name cert,key[,ciphers[,ca]]", TEXTS
    )
    sni_dir: str | None = option("directory searched for per-name certificates", TEXT)
    sni_dir_ciphers: str | None = option("ciphers for sni-dir contexts", TEXT)
    sni_regexp: tuple[str, ...] = option(
        "certificate chosen by a server name regexp (PCRE builds)", TEXTS
    )
    ssl_option: tuple[str, ...] = option(
        "numeric OpenSSL option bits (flag on the command line by mistake)",
        TEXTS,
        takes=Takes.MAYBE,
    )
    ssl_session_timeout: float = option(
        "TLS session lifetime (default 300 s)",
        SECONDS,
        default=300.0,
        aliases=("ssl-sessions-timeout",),
        at_least=0,
    )
    ssl_session_use_cache: str | None = option(
        "keep TLS sessions in the named uWSGI cache",
        TEXT,
        aliases=("ssl-sessions-use-cache",),
        takes=Takes.MAYBE,
        implies=("master",),
    )
    ssl_verbose: bool = option("more TLS error logging", FLAG)
    ssl_verify_depth: int = option(
        "certificate chain depth", INT, at_least=0, when_true=1, takes=Takes.MAYBE
    )
