"""Which duties a generation's settings ask for."""

from __future__ import annotations

import os
from collections.abc import Callable

from geuwsgi.background.alarms import raiser
from geuwsgi.master.alarms import AlarmDuty
from geuwsgi.master.autoreload import autoreload_duty
from geuwsgi.master.cachepeers import cache_peer_duties
from geuwsgi.master.cheap import cheap_duties
from geuwsgi.master.crontab import cron_duty
from geuwsgi.master.daemons import daemons_duty
from geuwsgi.master.duty import Duty
from geuwsgi.master.emperor import emperor_duty
from geuwsgi.master.fifo import fifo_duty
from geuwsgi.master.inotify import fs_duties
from geuwsgi.master.loyalty import loyalty_duty
from geuwsgi.master.metrics import metrics_duty
from geuwsgi.master.notify import notify_duty
from geuwsgi.master.prepared import Prepared, socket_options_of
from geuwsgi.master.pushing import pushing_duty
from geuwsgi.master.snmp import snmp_duty
from geuwsgi.master.statistics import StatisticsDuty
from geuwsgi.master.subscribing import subscribing_duty
from geuwsgi.master.timing import TimingDuty
from geuwsgi.master.touch import touch_duty
from geuwsgi.master.upkeep import UpkeepDuty
from geuwsgi.master.watch import watch_duties
from geuwsgi.master.zerg import zerg_duty, zerg_pool_duties
from geuwsgi.routers.plan import for_workers


def make_duties(
    prepared: Prepared, *, started_on: int, log: Callable[[str], None]
) -> list[Duty]:
    """The duties of the generation, in the order they begin."""
    settings = prepared.settings
    made: list[Duty | None] = [
        notify_duty(settings, os.environ),
        touch_duty(settings, log, raiser(prepared.commons.mailboxes)),
        autoreload_duty(settings),
        *fs_duties(settings),
        fifo_duty(settings, log),
        TimingDuty(prepared.commons),
        AlarmDuty(prepared, log),
        metrics_duty(prepared),
        snmp_duty(prepared, log),
        UpkeepDuty(prepared, log),
        *cache_peer_duties(prepared, log),
        daemons_duty(settings, prepared.environ, log),
        cron_duty(settings, prepared.environ, log),
        *cheap_duties(prepared, log),
        *watch_duties(settings, log),
        _statistics_duty(prepared, started_on, log),
        pushing_duty(prepared, started_on=started_on, log=log),
        emperor_duty(settings, prepared.environ, os.getcwd(), log),
        loyalty_duty(prepared, log),
        subscribing_duty(prepared.configuration, prepared.listeners, log),
        zerg_duty(settings, for_workers(prepared.listeners, settings), log),
        *zerg_pool_duties(settings, socket_options_of(settings), log),
    ]
    return [duty for duty in made if duty is not None]


def _statistics_duty(
    prepared: Prepared, started_on: int, log: Callable[[str], None]
) -> Duty | None:
    address = prepared.settings.stats.stats
    if not address:
        return None
    return StatisticsDuty(prepared, address, started_on=started_on, log=log)
