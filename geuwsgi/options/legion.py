"""Legions."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import INT, SECONDS, TEXTS


class Legion(Section):
    """Legions."""

    legion: tuple[str, ...] = option(
        "join a legion: name address valor cipher:secret", TEXTS, implies=("master",)
    )
    legion_death: tuple[str, ...] = option(
        "run an action when the node leaves the legion", TEXTS, implies=("master",)
    )
    legion_death_on_lord_error: float = option(
        "stay away for this many seconds after an action of the lord failed",
        SECONDS,
        at_least=0,
        implies=("master",),
    )
    legion_freq: float = option(
        "tell the legion every this many seconds of this node",
        SECONDS,
        default=3.0,
        at_least=0,
        implies=("master",),
    )
    legion_join: tuple[str, ...] = option(
        "run an action when the legion first has a quorum", TEXTS, implies=("master",)
    )
    legion_lord: tuple[str, ...] = option(
        "run an action when the node becomes lord", TEXTS, implies=("master",)
    )
    legion_mcast: tuple[str, ...] = option(
        "join a legion over multicast: name address valor cipher:secret",
        TEXTS,
        implies=("master",),
    )
    legion_node: tuple[str, ...] = option(
        "add a node to a legion: name address", TEXTS, implies=("master",)
    )
    legion_node_joined: tuple[str, ...] = option(
        "run an action when a node joins", TEXTS, implies=("master",)
    )
    legion_node_left: tuple[str, ...] = option(
        "run an action when a node leaves", TEXTS, implies=("master",)
    )
    legion_quorum: tuple[str, ...] = option(
        "need this many votes for a lord: name votes", TEXTS, implies=("master",)
    )
    legion_scroll: tuple[str, ...] = option(
        "announce a text to the legion", TEXTS, implies=("master",)
    )
    legion_scroll_list_max_size: int = option(
        "keep texts of other nodes up to this size", INT, at_least=0
    )
    legion_scroll_max_size: int = option(
        "let a text be up to this many bytes", INT, at_least=0
    )
    legion_setup: tuple[str, ...] = option(
        "run an action when the legion is set up", TEXTS, implies=("master",)
    )
    legion_skew_tolerance: float = option(
        "accept clocks that differ by this many seconds",
        SECONDS,
        default=30.0,
        at_least=0,
        implies=("master",),
    )
    legion_tolerance: float = option(
        "take a node for dead after this many seconds",
        SECONDS,
        default=15.0,
        at_least=0,
        implies=("master",),
    )
    legion_unlord: tuple[str, ...] = option(
        "run an action when the node is no longer lord", TEXTS, implies=("master",)
    )
