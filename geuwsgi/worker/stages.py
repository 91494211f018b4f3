"""What answers in the application's place, or changes what it answers.

Rules, static files, caches, header options: imported where the options ask for any of
it (`geuwsgi.worker.assemble.asks_for_stages`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geuwsgi.background.builtinmetrics import BuiltinMetrics
from geuwsgi.errors import ConfigError
from geuwsgi.offload.upstream import Connector
from geuwsgi.protocol.forwarded import TrustedProxies
from geuwsgi.server.cached import CachedResponses
from geuwsgi.server.forwarding import Forwarding
from geuwsgi.server.routing.build import build_routing
from geuwsgi.server.static.accel import NamedFiles
from geuwsgi.server.static.build import file_service, static_files
from geuwsgi.server.transform import compress_marked
from geuwsgi.server.uploadprogress import UploadProgress
from geuwsgi.worker.kit import bare_kit, kit_of

if TYPE_CHECKING:
    from geuwsgi.background.commons import Commons
    from geuwsgi.background.rpc import RpcTable
    from geuwsgi.config import Configuration
    from geuwsgi.net.listener import Listener
    from geuwsgi.options import Settings
    from geuwsgi.shared.scoreboard import ScoreboardSlot
    from geuwsgi.worker.serve import Server


def add_stages(
    server: Server,
    configuration: Configuration,
    commons: Commons,
    functions: RpcTable,
    slot: ScoreboardSlot,
    listeners: Sequence[Listener],
) -> None:
    """Put into the site of ``server`` what the options ask for.

    Raises ConfigError or ConfigErrors.
    """
    settings = configuration.settings
    site = server.site
    files = file_service(settings.static, settings.offload)
    kit = kit_of(
        files,
        site.report,
        connector=Connector(server.hub, timeout=settings.http.http_timeout),
        commons=commons,
        builtin=BuiltinMetrics(slot.scoreboard, settings.workers.processes),
        functions=functions,
        listeners=listeners,
        worker_id=site.worker_id,
    )
    rules = build_routing(
        configuration.assignments, settings.headers, settings.routing, kit
    )
    static = static_files(settings.static, files)
    site.stages = (*rules.stages, *(() if static is None else (static,)))
    if settings.cache.check_cache is not None:
        site.stages = (*site.stages, _cached_responses(settings, commons))
    if settings.wsgi.upload_progress:
        progress = UploadProgress(settings.wsgi.upload_progress)
        site.stages = (progress, *site.stages)
    if settings.http.http_auto_gzip:
        site.stages = (compress_marked, *site.stages)
    if settings.http.trusted_proxies:
        trusted = TrustedProxies(settings.http.trusted_proxies)
        site.stages = (Forwarding(trusted), *site.stages)
        site.trust_forwarded_proto = False
    site.response_filters = rules.response_filters
    named_files = NamedFiles(files, settings.offload)
    if named_files:
        site.response_filters = (named_files, *site.response_filters)
    site.error_answers = rules.error_answers


def check_stages(configuration: Configuration) -> None:
    """Raise ConfigError or ConfigErrors for what no worker could build."""
    settings = configuration.settings
    kit = bare_kit(file_service(settings.static, settings.offload))
    static_files(settings.static, kit.files)
    build_routing(configuration.assignments, settings.headers, settings.routing, kit)


def _cached_responses(settings: Settings, commons: Commons) -> CachedResponses:
    name = settings.cache.check_cache or ""
    cache = commons.caches.named("" if name in ("1", "true") else name)
    if cache is None:
        raise ConfigError(f"check-cache: there is no cache {name!r}")
    return CachedResponses(cache.get)
