"""Hooks."""

from __future__ import annotations

from geuwsgi.options.declare import Section, option
from geuwsgi.options.kinds import SECONDS, TEXT, TEXTS


class Hooks(Section):
    """Hooks."""

    exec_as_emperor: tuple[str, ...] = option(
        "shell command in the emperor after starting a vassal", TEXTS
    )
    exec_as_root: tuple[str, ...] = option(
        "shell command before privileges are dropped", TEXTS
    )
    exec_as_user: tuple[str, ...] = option(
        "shell command after privileges are dropped", TEXTS
    )
    exec_as_user_atexit: tuple[str, ...] = option(
        "shell command before exit/reload", TEXTS
    )
    exec_as_vassal: tuple[str, ...] = option(
        "shell command in the vassal before exec", TEXTS
    )
    exec_asap: tuple[str, ...] = option("shell command at the earliest point", TEXTS)
    exec_in_jail: tuple[str, ...] = option("shell command in the jail", TEXTS)
    exec_post_app: tuple[str, ...] = option("shell command after apps load", TEXTS)
    exec_post_jail: tuple[str, ...] = option("shell command after the jail step", TEXTS)
    exec_pre_app: tuple[str, ...] = option("shell command before apps load", TEXTS)
    exec_pre_jail: tuple[str, ...] = option("shell command before the jail step", TEXTS)
    hook_accepting: tuple[str, ...] = option(
        "hook action when a worker starts accepting", TEXTS
    )
    hook_accepting_once: tuple[str, ...] = option(
        "as hook-accepting, once per instance life", TEXTS
    )
    hook_accepting1: tuple[str, ...] = option(
        "hook action when the first worker starts accepting", TEXTS
    )
    hook_accepting1_once: tuple[str, ...] = option(
        "as hook-accepting1, once per instance life", TEXTS
    )
    hook_as_emperor: tuple[str, ...] = option(
        "hook action in the emperor after starting a vassal", TEXTS
    )
    hook_as_emperor_before_vassal: tuple[str, ...] = option(
        "hook in the emperor before a vassal starts", TEXTS, since="2.1"
    )
    hook_as_gateway: tuple[str, ...] = option(
        "hook action in each gateway process", TEXTS
    )
    hook_as_mule: tuple[str, ...] = option("hook action in each mule", TEXTS)
    hook_as_on_config_vassal: tuple[str, ...] = option(
        "hook when an on-demand vassal's config changes", TEXTS, since="2.1"
    )
    hook_as_on_demand_vassal: tuple[str, ...] = option(
        "hook when a vassal goes on-demand", TEXTS, since="2.1"
    )
    hook_as_root: tuple[str, ...] = option(
        "hook action before privileges are dropped", TEXTS
    )
    hook_as_user: tuple[str, ...] = option(
        "hook action after privileges are dropped", TEXTS
    )
    hook_as_user_atexit: tuple[str, ...] = option(
        "hook action before exit/reload", TEXTS
    )
    hook_as_vassal: tuple[str, ...] = option(
        "hook action in the vassal before its exec", TEXTS
    )
    hook_as_vassal_before_drop: tuple[str, ...] = option(
        "hook in the vassal before privilege drop", TEXTS, since="2.1"
    )
    hook_asap: tuple[str, ...] = option("hook action at the earliest point", TEXTS)
    hook_emperor_lost: tuple[str, ...] = option(
        "hook action when the emperor link is lost", TEXTS
    )
    hook_emperor_reload: tuple[str, ...] = option(
        "hook action when the emperor tells this vassal to reload", TEXTS
    )
    hook_emperor_start: tuple[str, ...] = option("hook action at emperor start", TEXTS)
    hook_emperor_stop: tuple[str, ...] = option(
        "hook action when the emperor tells this vassal to stop", TEXTS
    )
    hook_in_jail: tuple[str, ...] = option(
        "hook action inside the jail once initialised", TEXTS
    )
    hook_master_start: tuple[str, ...] = option(
        "hook action when the master enters its loop", TEXTS
    )
    hook_post_app: tuple[str, ...] = option("hook action after apps are loaded", TEXTS)
    hook_post_fork: tuple[str, ...] = option(
        "hook action in every forked worker", TEXTS
    )
    hook_post_jail: tuple[str, ...] = option("hook action after chroot/jail", TEXTS)
    hook_pre_app: tuple[str, ...] = option("hook action before apps are loaded", TEXTS)
    hook_pre_jail: tuple[str, ...] = option("hook action before chroot/jail", TEXTS)
    hook_touch: tuple[str, ...] = option(
        '"file action": hook action when the file mtime grows', TEXTS
    )
    wait_for_fs: tuple[str, ...] = option(
        "block start until a filesystem object exists",
        TEXTS,
        aliases=(
            "wait-for-dir",
            "wait-for-file",
        ),
    )
    wait_for_fs_timeout: float = option(
        "seconds for the filesystem waits (default 60)",
        SECONDS,
        default=60.0,
        at_least=0,
    )
    wait_for_interface: tuple[str, ...] = option(
        "block start until a network interface exists",
        TEXTS,
        aliases=(
            "wait-for-iface",
            "wait-iface",
            "wait-interface",
        ),
    )
    wait_for_interface_timeout: float = option(
        "seconds for that wait (default 60)",
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
        "block start until a mount point exists", TEXTS
    )
    wait_for_socket: tuple[str, ...] = option(
        "block app loading until a socket accepts connections", TEXTS
    )
    wait_for_socket_timeout: float = option(
        "seconds for that wait (default 60)", SECONDS, default=60.0, at_least=0
    )
    worker_exec: str | None = option("program exec'd in place of the worker", TEXT)
    worker_exec2: str | None = option("same after the post-fork hooks", TEXT)
