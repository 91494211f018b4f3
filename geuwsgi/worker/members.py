"""What the processes of a generation run beside requests: signals, mules, spoolers.

Turns an order and the settings into something that starts and drains.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from geuwsgi.background.counts import mule_programs, spooler_directory
from geuwsgi.background.inbox import Serving, WithSignals
from geuwsgi.background.member import message_boxes, signal_boxes
from geuwsgi.background.mules import MessageWaiter, Mule, MuleTask
from geuwsgi.background.spooler.process import Spooler, SpoolerOptions
from geuwsgi.shared.scoreboard import SIGNALS, ScoreboardSlot
from geuwsgi.worker.modifiers import modifiers_of

if TYPE_CHECKING:
    from geuwsgi.api import ApiContext
    from geuwsgi.options import Settings
    from geuwsgi.server.connection import Connection
    from geuwsgi.worker.life import Order
    from geuwsgi.worker.serve import Server


def with_signals(
    serving: Serving, context: ApiContext, order: Order, slot: ScoreboardSlot
) -> Serving:
    """Have a process receive uwsgi signals while it serves."""
    if context.background.channels is not None:
        context.background.channels.enter_process()
    boxes = context.commons.mailboxes
    if boxes is None:
        return serving
    inbox = context.background.inbox
    inbox.name = f"{order.role} {order.number}"
    view = slot.view

    def count() -> None:
        view[SIGNALS] += 1
        if isinstance(serving, Spooler):
            serving.count_signal()

    inbox.on_signal = count
    return WithSignals(serving, inbox, signal_boxes(boxes, order.role, order.number))


def answer_packets(server: Server, context: ApiContext) -> None:
    """Have a worker's uwsgi sockets answer for caches, remote calls and signals."""
    allowed = context.configuration.settings.shared.services_for
    if not allowed and all(one.protocol != "uwsgi" for one in context.listeners):
        return
    from geuwsgi.background.services import Packets, parse_network

    commons = context.commons
    packets = Packets(
        caches=commons.caches,
        rpc=context.background.rpc,
        warning=lambda: context.background.warning,
        router=commons.router,
        allowed=[parse_network(text) for text in allowed],
        report=server.site.report,
    )

    def handle(connection: Connection, _modifier2: int, received: bytes) -> None:
        packets.handle(connection.stream, received)

    limits = context.configuration.settings.limits
    server.site.modifiers = modifiers_of(
        {number: handle for number in packets.modifiers},
        allowed=limits.allowed_modifiers,
        remap=limits.remap_modifier,
    )


def make_mule(
    context: ApiContext,
    order: Order,
    *,
    module: ModuleType,
    before: Callable[[], object],
    end: Callable[[int], object],
) -> Mule:
    """Make the mule that ``order`` names."""
    configuration = context.configuration
    settings: Settings = configuration.settings
    lines = [(line.name, line.value) for line in configuration.assignments]
    boxes = context.commons.mailboxes
    assert boxes is not None
    task = MuleTask(
        order.number,
        mule_programs(settings, lines)[order.number - 1],
        settings.mules.mule_harakiri,
        settings.mules.mule_msg_recv_size or settings.mules.mule_msg_size,
    )
    return Mule(
        task,
        MessageWaiter(message_boxes(boxes, order.number)),
        before=before,
        find_hook=lambda: getattr(module, "mule_msg_hook", None),
        end=end,
    )


def make_spooler(
    context: ApiContext,
    order: Order,
    *,
    module: ModuleType,
    before: Callable[[], object],
    retire: Callable[[str], object],
) -> Spooler:
    """Make the spooler that ``order`` names."""
    settings: Settings = context.configuration.settings
    options = settings.spooler

    def begin() -> None:
        for name in options.spooler_import:
            importlib.import_module(name.removesuffix(".py"))
        before()

    roster = context.commons.roster
    return Spooler(
        SpoolerOptions(
            directory=os.path.abspath(spooler_directory(settings, order.number)),
            frequency_s=options.spooler_frequency,
            ordered=options.spooler_ordered,
            quiet=options.spooler_quiet,
            chdir=options.spooler_chdir or "",
            harakiri_s=options.spooler_harakiri,
            max_tasks=options.spooler_max_tasks,
            signals_count=options.spooler_signal_as_task,
        ),
        before=begin,
        find_callback=lambda: getattr(module, "spooler", None),
        find_frequency=lambda: roster.spooler_frequency_s if roster else 0.0,
        retire=retire,
    )
