"""Legions."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import INT, SECONDS, TEXTS


class Legion(Section):
    """Legions."""

    legion: tuple[str, ...] = option(
        "join a legion: name addr valor cipher:secret", TEXTS, implies=("master",)
    )
    legion_death: tuple[str, ...] = option(
        "hook at shutdown", TEXTS, implies=("master",)
    )
    legion_death_on_lord_error: float = option(
        "play dead N seconds when a lord hook fails",
        SECONDS,
        at_least=0,
        implies=("master",),
    )
    legion_freq: float = option(
        "packet frequency", SECONDS, default=3.0, at_least=0, implies=("master",)
    )
    legion_join: tuple[str, ...] = option(
        "hook at first quorum", TEXTS, implies=("master",)
    )
    legion_lord: tuple[str, ...] = option(
        "hook when elected lord", TEXTS, implies=("master",)
    )
    legion_mcast: tuple[str, ...] = option(
        "same for multicast", TEXTS, implies=("master",)
    )
    legion_node: tuple[str, ...] = option("add a peer node", TEXTS, implies=("master",))
    legion_node_joined: tuple[str, ...] = option(
        "hook when a node joins", TEXTS, implies=("master",)
    )
    legion_node_left: tuple[str, ...] = option(
        "hook when a node leaves", TEXTS, implies=("master",)
    )
    legion_quorum: tuple[str, ...] = option("quorum value", TEXTS, implies=("master",))
    legion_scroll: tuple[str, ...] = option(
        "data announced by this node", TEXTS, implies=("master",)
    )
    legion_scroll_list_max_size: int = option(
        "maximum scroll list size", INT, at_least=0
    )
    legion_scroll_max_size: int = option("maximum scroll size", INT, at_least=0)
    legion_setup: tuple[str, ...] = option("hook at setup", TEXTS, implies=("master",))
    legion_skew_tolerance: float = option(
        "allowed clock skew", SECONDS, default=30.0, at_least=0, implies=("master",)
    )
    legion_tolerance: float = option(
        "packet age tolerance", SECONDS, default=15.0, at_least=0, implies=("master",)
    )
    legion_unlord: tuple[str, ...] = option(
        "hook when no longer lord", TEXTS, implies=("master",)
    )
