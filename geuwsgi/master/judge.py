"""What the master's own options say, looked at without doing any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from geuwsgi.errors import ConfigError
from geuwsgi.master.crontab import cron_entries
from geuwsgi.master.daemons import daemon_specs
from geuwsgi.master.emperor import Rule
from geuwsgi.master.pushing import check_pushers
from geuwsgi.master.zerg import parse_pool
from geuwsgi.options import Settings
from geuwsgi.worker.hooks import check_hooks


def judge(settings: Settings) -> Iterator[ConfigError]:
    """The first error in each of: hooks, daemons, crons, emperor, pushers, zerg pools."""
    questions: tuple[Callable[[], object], ...] = (
        lambda: check_hooks(settings.hooks),
        lambda: daemon_specs(settings),
        lambda: cron_entries(settings),
        lambda: Rule.of(settings, {}, "/"),
        lambda: check_pushers(settings),
        lambda: [parse_pool(text) for text in settings.subscription.zergpool],
    )
    for ask in questions:
        try:
            ask()
        except ConfigError as exc:
            yield exc
