"""Hooks."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXTS


class Hooks(Section):
    """Hooks."""

    exec_as_emperor: tuple[str, ...] = option(
        "run a command in the emperor after a vassal started", TEXTS
    )
    exec_as_root: tuple[str, ...] = option(
        "run a command before privileges are dropped", TEXTS
    )
    exec_as_user: tuple[str, ...] = option(
        "run a command after privileges were dropped", TEXTS
    )
    exec_as_user_atexit: tuple[str, ...] = option(
        "run a command before the server ends", TEXTS
    )
    exec_as_vassal: tuple[str, ...] = option(
        "run a command in a vassal before it starts", TEXTS
    )
    exec_asap: tuple[str, ...] = option("run a command as early as possible", TEXTS)
    exec_in_jail: tuple[str, ...] = option(
        "run a command after the root directory changed", TEXTS
    )
    exec_post_app: tuple[str, ...] = option(
        "run a command after applications were loaded", TEXTS
    )
    exec_post_jail: tuple[str, ...] = option(
        "run a command after the jail was set up", TEXTS
    )
    exec_pre_app: tuple[str, ...] = option(
        "run a command before applications are loaded", TEXTS
    )
    exec_pre_jail: tuple[str, ...] = option(
        "run a command before the jail is set up", TEXTS
    )
    hook_accepting: tuple[str, ...] = option(
        "run an action when a worker begins to accept", TEXTS
    )
    hook_accepting_once: tuple[str, ...] = option(
        "run an action when a worker begins to accept, once in the instance's life",
        TEXTS,
    )
    hook_accepting1: tuple[str, ...] = option(
        "run an action when the first worker begins to accept", TEXTS
    )
    hook_accepting1_once: tuple[str, ...] = option(
        "run an action when the first worker begins to accept, once in the instance's life",
        TEXTS,
    )
    hook_as_emperor: tuple[str, ...] = option(
        "run an action in the emperor after a vassal started", TEXTS
    )
    hook_as_emperor_before_vassal: tuple[str, ...] = option(
        "run an action in the emperor before a vassal starts", TEXTS, since="2.1"
    )
    hook_as_gateway: tuple[str, ...] = option(
        "run an action in each router process", TEXTS
    )
    hook_as_mule: tuple[str, ...] = option("run an action in each mule", TEXTS)
    hook_as_on_demand_vassal: tuple[str, ...] = option(
        "run an action when a vassal goes on demand", TEXTS, since="2.1"
    )
    hook_as_root: tuple[str, ...] = option(
        "run an action before privileges are dropped", TEXTS
    )
    hook_as_user: tuple[str, ...] = option(
        "run an action after privileges were dropped", TEXTS
    )
    hook_as_user_atexit: tuple[str, ...] = option(
        "run an action before the server ends", TEXTS
    )
    hook_as_vassal: tuple[str, ...] = option(
        "run an action in a vassal before it starts", TEXTS
    )
    hook_asap: tuple[str, ...] = option("run an action as early as possible", TEXTS)
    hook_emperor_lost: tuple[str, ...] = option(
        "run an action when the emperor is gone", TEXTS
    )
    hook_emperor_reload: tuple[str, ...] = option(
        "run an action when the emperor asks for a reload", TEXTS
    )
    hook_emperor_start: tuple[str, ...] = option(
        "run an action when the emperor starts", TEXTS
    )
    hook_emperor_stop: tuple[str, ...] = option(
        "run an action when the emperor asks for an end", TEXTS
    )
    hook_in_jail: tuple[str, ...] = option(
        "run an action after the root directory changed", TEXTS
    )
    hook_master_start: tuple[str, ...] = option(
        "run an action when the master enters its loop", TEXTS
    )
    hook_post_app: tuple[str, ...] = option(
        "run an action after applications were loaded", TEXTS
    )
    hook_post_fork: tuple[str, ...] = option(
        "run an action in every worker after its fork", TEXTS
    )
    hook_post_jail: tuple[str, ...] = option(
        "run an action after the jail was set up", TEXTS
    )
    hook_pre_app: tuple[str, ...] = option(
        "run an action before applications are loaded", TEXTS
    )
    hook_pre_jail: tuple[str, ...] = option(
        "run an action before the jail is set up", TEXTS
    )
    hook_touch: tuple[str, ...] = option(
        "run an action when a file is touched: file action", TEXTS
    )
    wait_for_fs: tuple[str, ...] = option(
        "wait at start until this path exists",
        TEXTS,
        aliases=(
            "wait-for-dir",
            "wait-for-file",
        ),
    )
    wait_for_fs_timeout: float = option(
        "wait this many seconds for paths", SECONDS, default=60.0, at_least=0
    )
    wait_for_interface: tuple[str, ...] = option(
        "wait at start until this network interface is up",
        TEXTS,
        aliases=(
            "wait-for-iface",
            "wait-iface",
            "wait-interface",
        ),
    )
    wait_for_interface_timeout: float = option(
        "wait this many seconds for network interfaces",
        SECONDS,
        default=60.0,
        aliases=(
            "wait-for-iface-timeout",
            "wait-iface-timeout",
            "wait-interface-timeout",
        ),
        at_least=0,
    )
    wait_for_mountpoint: tuple[str, ...] = option(
        "wait at start until this directory is a mount point", TEXTS
    )
    wait_for_socket: tuple[str, ...] = option(
        "wait at start until something listens on this address", TEXTS
    )
    wait_for_socket_timeout: float = option(
        "wait this many seconds for addresses", SECONDS, default=60.0, at_least=0
    )
