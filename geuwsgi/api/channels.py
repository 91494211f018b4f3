"""``geuwsgi.channel``: publish and subscribe between processes and machines."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.background.channels import Channels

if TYPE_CHECKING:
    from geuwsgi.api.context import ApiContext


def install(module: ModuleType, context: ApiContext) -> None:
    """Set ``channel``; ``geuwsgi.channel`` finds it here."""
    url = context.configuration.settings.shared.channels or ""
    channels = Channels(context.commons.broadcast, url)
    context.background.channels = channels
    module.channel = channels.channel  # type: ignore[attr-defined]
