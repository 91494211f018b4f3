"""The vocabulary: every option geuwsgi knows, one typed field each.

``Settings`` holds one frozen section a subject. ``REGISTRY`` finds options by name,
letter or beginning. Here are declarations only; what an option does is decided where
its value is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geuwsgi.options.alarms import Alarms
from geuwsgi.options.cache import Cache
from geuwsgi.options.commands import Commands
from geuwsgi.options.daemons import Daemons
from geuwsgi.options.declare import Option, Section, option
from geuwsgi.options.emperor import Emperor
from geuwsgi.options.foreign import FOREIGN
from geuwsgi.options.headers import Headers
from geuwsgi.options.hooks import Hooks
from geuwsgi.options.http import Http
from geuwsgi.options.inert import INERT
from geuwsgi.options.inherent import INHERENT
from geuwsgi.options.language import Language
from geuwsgi.options.limits import Limits
from geuwsgi.options.logging import Logging
from geuwsgi.options.mules import Mules
from geuwsgi.options.offload import Offload
from geuwsgi.options.pending import PENDING
from geuwsgi.options.process import Process
from geuwsgi.options.python import Python
from geuwsgi.options.registry import Known, Registry, Standing
from geuwsgi.options.reload import Reload
from geuwsgi.options.routers import Routers
from geuwsgi.options.routing import Routing
from geuwsgi.options.shared import Shared
from geuwsgi.options.signals import Signals
from geuwsgi.options.sockets import Sockets
from geuwsgi.options.spooler import Spooler
from geuwsgi.options.static import Static
from geuwsgi.options.stats import Stats
from geuwsgi.options.subscription import Subscription
from geuwsgi.options.websockets import Websockets
from geuwsgi.options.workers import Workers
from geuwsgi.options.wsgi import Wsgi

if TYPE_CHECKING:
    from typing_extensions import Self


class Settings:
    """What a configuration comes to: frozen sections of typed values.

    ``Settings()`` is geuwsgi without any configuration. Sections not given have their
    defaults.
    """

    __slots__ = (
        "alarms",
        "cache",
        "daemons",
        "emperor",
        "headers",
        "hooks",
        "http",
        "limits",
        "logging",
        "mules",
        "offload",
        "process",
        "python",
        "reload",
        "routers",
        "routing",
        "shared",
        "signals",
        "sockets",
        "spooler",
        "static",
        "stats",
        "subscription",
        "websockets",
        "workers",
        "wsgi",
    )

    def __init__(
        self,
        *,
        sockets: Sockets | None = None,
        http: Http | None = None,
        limits: Limits | None = None,
        workers: Workers | None = None,
        process: Process | None = None,
        reload: Reload | None = None,
        python: Python | None = None,
        wsgi: Wsgi | None = None,
        logging: Logging | None = None,
        headers: Headers | None = None,
        static: Static | None = None,
        offload: Offload | None = None,
        routing: Routing | None = None,
        websockets: Websockets | None = None,
        cache: Cache | None = None,
        shared: Shared | None = None,
        signals: Signals | None = None,
        spooler: Spooler | None = None,
        mules: Mules | None = None,
        stats: Stats | None = None,
        alarms: Alarms | None = None,
        hooks: Hooks | None = None,
        daemons: Daemons | None = None,
        emperor: Emperor | None = None,
        subscription: Subscription | None = None,
        routers: Routers | None = None,
    ) -> None:
        keep = object.__setattr__
        keep(self, "sockets", sockets or Sockets())
        keep(self, "http", http or Http())
        keep(self, "limits", limits or Limits())
        keep(self, "workers", workers or Workers())
        keep(self, "process", process or Process())
        keep(self, "reload", reload or Reload())
        keep(self, "python", python or Python())
        keep(self, "wsgi", wsgi or Wsgi())
        keep(self, "logging", logging or Logging())
        keep(self, "headers", headers or Headers())
        keep(self, "static", static or Static())
        keep(self, "offload", offload or Offload())
        keep(self, "routing", routing or Routing())
        keep(self, "websockets", websockets or Websockets())
        keep(self, "cache", cache or Cache())
        keep(self, "shared", shared or Shared())
        keep(self, "signals", signals or Signals())
        keep(self, "spooler", spooler or Spooler())
        keep(self, "mules", mules or Mules())
        keep(self, "stats", stats or Stats())
        keep(self, "alarms", alarms or Alarms())
        keep(self, "hooks", hooks or Hooks())
        keep(self, "daemons", daemons or Daemons())
        keep(self, "emperor", emperor or Emperor())
        keep(self, "subscription", subscription or Subscription())
        keep(self, "routers", routers or Routers())

    if TYPE_CHECKING:
        sockets: Sockets
        http: Http
        limits: Limits
        workers: Workers
        process: Process
        reload: Reload
        python: Python
        wsgi: Wsgi
        logging: Logging
        headers: Headers
        static: Static
        offload: Offload
        routing: Routing
        websockets: Websockets
        cache: Cache
        shared: Shared
        signals: Signals
        spooler: Spooler
        mules: Mules
        stats: Stats
        alarms: Alarms
        hooks: Hooks
        daemons: Daemons
        emperor: Emperor
        subscription: Subscription
        routers: Routers

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are frozen: cannot set {name!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return all(getattr(self, s) == getattr(other, s) for s in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, section) for section in self.__slots__))

    def __repr__(self) -> str:
        sections = (getattr(self, name) for name in self.__slots__)
        return f"Settings({', '.join(repr(s) for s in sections if s.changed())})"

    def replace(self, **sections: Section) -> Self:
        """A copy with some sections exchanged."""
        kept = {name: getattr(self, name) for name in self.__slots__}
        return type(self)(**{**kept, **sections})


SECTIONS: tuple[type[Section], ...] = (
    Sockets,
    Http,
    Limits,
    Workers,
    Process,
    Reload,
    Python,
    Wsgi,
    Logging,
    Headers,
    Static,
    Offload,
    Routing,
    Websockets,
    Cache,
    Shared,
    Signals,
    Spooler,
    Mules,
    Stats,
    Alarms,
    Hooks,
    Daemons,
    Emperor,
    Subscription,
    Routers,
)

REGISTRY = Registry(
    SECTIONS,
    directives=(Language, Commands),
    inert=INERT,
    foreign=FOREIGN,
    pending=PENDING,
    inherent=INHERENT,
)

__all__ = [
    "REGISTRY",
    "SECTIONS",
    "Alarms",
    "Cache",
    "Commands",
    "Daemons",
    "Emperor",
    "Headers",
    "Hooks",
    "Http",
    "Known",
    "Language",
    "Limits",
    "Logging",
    "Mules",
    "Offload",
    "Option",
    "Process",
    "Python",
    "Registry",
    "Reload",
    "Routers",
    "Routing",
    "Section",
    "Settings",
    "Shared",
    "Signals",
    "Sockets",
    "Spooler",
    "Standing",
    "Static",
    "Stats",
    "Subscription",
    "Websockets",
    "Workers",
    "Wsgi",
    "option",
]
