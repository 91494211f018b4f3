"""How each server is started for each way of talking to it.

Every server gets one worker on one core, keep-alive on, request logging off. geuwsgi
and uWSGI get the same options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .environment import Environment


class Wire(Enum):
    """What is spoken to the server, and over what."""

    HTTP = "HTTP over TCP"
    HTTP_HELD = "HTTP over TCP, many connections held"
    HTTPS = "HTTPS over TCP"
    UWSGI_UNIX = "uwsgi protocol over a Unix socket"
    UWSGI_TCP = "uwsgi protocol over TCP"
    NGINX = "HTTP to nginx, uwsgi protocol from there"
    WEBSOCKET = "websocket over TCP"


@dataclass(frozen=True)
class Place:
    """Where a server of one round stands."""

    environment: Environment
    directory: Path
    port: int
    module: str
    connections: int
    workers: int = 1
    options: tuple[str, ...] = ()
    """Options of the kind for servers that take uWSGI's."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        return self.directory / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.directory / "key.pem"

    @property
    def socket(self) -> Path:
        return self.directory / "server.sock"

    def peer(self, command: str) -> str:
        return str(self.environment.peers / command)


Command = Callable[[Place], "list[str]"]


@dataclass(frozen=True)
class Server:
    """One measured server: `needs` is the command or package that must be there.

    One that is `on_demand` is only measured when it is named.
    """

    name: str
    title: str
    needs: str
    wires: Mapping[Wire, Command]
    on_demand: bool = False


def _uwsgi_options(place: Place, *listener: str, gevent: bool = True) -> list[str]:
    return [
        *listener,
        *(["--gevent", str(max(1000, place.connections + 100))] if gevent else []),
        "--wsgi-file",
        f"{place.module}.py",
        "--listen",
        "4096",
        "--disable-logging",
        "--log-5xx",
        *(("--master", "--processes", str(place.workers)) if place.workers > 1 else ()),
        *(text.format(directory=place.directory) for text in place.options),
    ]


def _uwsgi_family(
    executable: Callable[[Place], str], *, gevent: bool = True
) -> dict[Wire, Command]:
    def on(*listener: str) -> Command:
        def command(place: Place) -> list[str]:
            where = [
                text.format(
                    address=place.address,
                    socket=place.socket,
                    certificate=place.certificate,
                    key=place.key,
                )
                for text in listener
            ]
            return [executable(place), *_uwsgi_options(place, *where, gevent=gevent)]

        return command

    return {
        Wire.HTTP: on("--http", "{address}", "--http-keepalive"),
        Wire.HTTP_HELD: on("--http-socket", "{address}"),
        Wire.HTTPS: on(
            *("--https", "{address},{certificate},{key}"), "--http-keepalive"
        ),
        Wire.UWSGI_UNIX: on("--socket", "{socket}"),
        Wire.UWSGI_TCP: on("--socket", "{address}"),
        Wire.NGINX: on("--socket", "{socket}"),
        Wire.WEBSOCKET: on("--http-socket", "{address}"),
    }


def _gunicorn(worker: str) -> Callable[..., Command]:
    def on(protocol: str = "http", unix: bool = False) -> Command:
        def command(place: Place) -> list[str]:
            return [
                place.peer("gunicorn"),
                *("--worker-class", worker, "--workers", str(place.workers)),
                *("--threads", "4"),
                *("--worker-connections", str(max(1000, place.connections + 100))),
                *("--keep-alive", "75", "--backlog", "4096", "--log-level", "warning"),
                *("--protocol", protocol, "--uwsgi-allow-from", "*"),
                *("--bind", f"unix:{place.socket}" if unix else place.address),
                f"{place.module}:application",
            ]

        return command

    return on


def _granian(interface: str, module: str | None = None) -> Command:
    def command(place: Place) -> list[str]:
        return [
            place.peer("granian"),
            *("--interface", interface, "--workers", str(place.workers)),
            *("--runtime-threads", "1"),
            *(("--blocking-threads", "1") if interface == "wsgi" else ()),
            *("--http", "1", "--backlog", "4096", "--backpressure", "2048"),
            *("--no-ws", "--log-level", "warning"),
            *(("--loop", "uvloop") if interface == "rsgi" else ()),
            *("--host", "127.0.0.1", "--port", str(place.port)),
            f"{module or place.module}:application",
        ]

    return command


def _waitress(place: Place) -> list[str]:
    return [
        place.peer("waitress-serve"),
        f"--listen={place.address}",
        "--threads=4",
        "--backlog=4096",
        "--connection-limit=2000",
        f"{place.module}:application",
    ]


def _script(name: str) -> Command:
    def command(place: Place) -> list[str]:
        return [place.peer("python"), name, str(place.port), place.module]

    return command


def nginx(place: Place, location: str, *, tls: bool = False) -> list[str]:
    """nginx with one process and this content of `location /`."""
    listen = f"listen {place.address}{' ssl' if tls else ''} backlog=4096;"
    if tls:
        listen += f"ssl_certificate {place.certificate};"
        listen += f"ssl_certificate_key {place.key};"
    configuration = place.directory / "nginx.conf"
    configuration.write_text(
        f"""daemon off; master_process off; worker_processes 1;
        pid {place.directory}/nginx.pid; error_log stderr crit;
        events {{ worker_connections 4096; }}
        http {{
            access_log off; keepalive_requests 100000000;
            sendfile on; tcp_nopush on;
            client_body_temp_path {place.directory}/body;
            proxy_temp_path {place.directory}/proxy;
            fastcgi_temp_path {place.directory}/fastcgi;
            uwsgi_temp_path {place.directory}/uwsgi;
            scgi_temp_path {place.directory}/scgi;
            server {{
                {listen}
                default_type text/plain;
                location / {{ {location} }}
                location /static/ {{ root {place.directory}; }}
            }}
        }}"""
    )
    return ["nginx", "-c", str(configuration), "-p", str(place.directory)]


def front(place: Place) -> list[str]:
    """nginx as the front of a server on `place.socket`."""
    return nginx(
        place, f"include /etc/nginx/uwsgi_params; uwsgi_pass unix:{place.socket};"
    )


def _constant(place: Place) -> list[str]:
    return nginx(place, 'return 200 "Hello, World!";')


def _constant_tls(place: Place) -> list[str]:
    return nginx(place, 'return 200 "Hello, World!";', tls=True)


GEUWSGI = Server(
    "geuwsgi",
    "geuwsgi",
    "",
    _uwsgi_family(lambda place: str(place.environment.geuwsgi)),
)

GEUWSGI_PURE = Server(
    "geuwsgi-pure",
    "geuwsgi, plain Python",
    "",
    _uwsgi_family(lambda place: str(place.environment.pure_geuwsgi)),
    on_demand=True,
)

SERVERS: tuple[Server, ...] = (
    GEUWSGI,
    GEUWSGI_PURE,
    Server(
        "uwsgi-gevent",
        "uWSGI --gevent",
        "uwsgi",
        _uwsgi_family(lambda place: place.peer("uwsgi")),
    ),
    Server(
        "uwsgi-sync",
        "uWSGI, one request at a time",
        "uwsgi",
        {
            wire: command
            for wire, command in _uwsgi_family(
                lambda place: place.peer("uwsgi"), gevent=False
            ).items()
            if wire in (Wire.HTTP, Wire.UWSGI_UNIX, Wire.UWSGI_TCP, Wire.NGINX)
        },
    ),
    Server(
        "gunicorn-gevent",
        "gunicorn, gevent worker",
        "gunicorn",
        {
            Wire.HTTP: _gunicorn("gevent")(),
            Wire.HTTP_HELD: _gunicorn("gevent")(),
            Wire.UWSGI_UNIX: _gunicorn("gevent")("uwsgi", unix=True),
            Wire.UWSGI_TCP: _gunicorn("gevent")("uwsgi"),
            Wire.NGINX: _gunicorn("gevent")("uwsgi", unix=True),
        },
    ),
    Server(
        "gunicorn-gthread",
        "gunicorn, gthread worker",
        "gunicorn",
        {Wire.HTTP: _gunicorn("gthread")()},
    ),
    Server("granian", "granian, WSGI", "granian", {Wire.HTTP: _granian("wsgi")}),
    Server(
        "granian-rsgi",
        "granian, RSGI",
        "granian",
        {Wire.HTTP: _granian("rsgi", "rsgi_hello")},
    ),
    Server(
        "fastwsgi", "fastwsgi", "fastwsgi", {Wire.HTTP: _script("fastwsgi_server.py")}
    ),
    Server("waitress", "waitress", "waitress", {Wire.HTTP: _waitress}),
    Server(
        "pywsgi",
        "gevent.pywsgi",
        "gevent",
        {
            Wire.HTTP: _script("pywsgi_server.py"),
            Wire.HTTP_HELD: _script("pywsgi_server.py"),
        },
    ),
    Server(
        "nginx",
        "nginx",
        "",
        {Wire.HTTP: _constant, Wire.HTTPS: _constant_tls},
    ),
    Server("picows", "picows", "picows", {Wire.WEBSOCKET: _script("picows_server.py")}),
    Server(
        "websockets",
        "websockets",
        "websockets",
        {Wire.WEBSOCKET: _script("websockets_server.py")},
    ),
)
