"""The command line: arguments in, exit status out.

The only module that prints errors and decides about exit statuses. The master and the
application stay apart: what needs gevent is imported by the sub-command that does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from geuwsgi.config import Configuration, Exit, SystemHost, load
from geuwsgi.config.queries import answer, answer_from
from geuwsgi.errors import ConfigError, ConfigErrors, GeuwsgiError, StartupError
from geuwsgi.log.forgiving import forgive
from geuwsgi.master.commands import find_command
from geuwsgi.master.launch import Command, launch

SubCommand = Callable[[Sequence[str]], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``argv`` (default: the process's own); return its status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        sub_command = _SUB_COMMANDS.get(arguments[0]) if arguments else None
        if sub_command is not None:
            return sub_command(arguments[1:])
        return _serve(arguments, is_own_process=argv is None)
    except ConfigErrors as exc:
        for error in exc.errors:
            _complain(str(error))
        return 1
    except StartupError as exc:
        _complain(str(exc))
        return exc.exit_status
    except GeuwsgiError as exc:
        _complain(str(exc))
        return 1
    except Exit as exc:
        return exc.status
    except KeyboardInterrupt:
        return 130


def _serve(arguments: list[str], *, is_own_process: bool) -> int:
    if not arguments and not any(name.startswith("UWSGI_") for name in os.environ):
        _complain("nothing to do: name a configuration or options (see --help)")
        return 1
    asked = answer(arguments)
    if asked is not None:
        print(asked.text, end="")
        return asked.status
    command = Command(
        argv=tuple(arguments),
        environ=dict(os.environ),
        directory=os.getcwd(),
        started_on=int(time.time()),
    )
    configuration = load(command.argv, command.environ)
    asked = answer_from(configuration, SystemHost(command.environ))
    if asked is not None:
        print(asked.text, end="")
        return asked.status
    run_command = find_command(configuration)
    if run_command is not None:
        return run_command()
    return _launch(command, configuration, is_own_process=is_own_process)


def _launch(
    command: Command, configuration: Configuration, *, is_own_process: bool
) -> int:
    """Run the instance, and if it fails, the one of ``fallback-config``."""
    forgive()
    fallback = configuration.settings.reload.fallback_config
    try:
        status = launch(command, configuration, _be_worker if is_own_process else None)
    except StartupError as exc:
        if not fallback or exc.exit_status != 1:
            raise
        _complain(str(exc))
        status = 1
    if status == 1 and fallback:
        _complain(f"the instance failed; starting with fallback-config {fallback}")
        return _serve(["--config", fallback], is_own_process=False)
    return status


def _be_worker(boot_fd: int) -> NoReturn:
    from geuwsgi.worker.start import main

    main(boot_fd)


def _cache(arguments: Sequence[str]) -> int:
    from geuwsgi.cache.command import main as cache

    return cache(arguments)


def _check(arguments: Sequence[str]) -> int:
    from geuwsgi.config.check import main as check

    judges = [
        _judge_addresses,
        _judge_caches,
        _judge_rules,
        _judge_routers,
        _judge_master,
    ]
    return check(arguments, judges=judges)


def _judge_addresses(configuration: Configuration) -> Iterator[ConfigError]:
    from geuwsgi.net.address import parse_address, split_tls

    abstract = configuration.settings.sockets.abstract_socket
    for kind, address, origin in configuration.listeners:
        try:
            parse_address(split_tls(address)[0], abstract=abstract)
        except ConfigError as exc:
            yield ConfigError(f"{kind}: {exc.message}", origin)


def _judge_caches(configuration: Configuration) -> Iterator[ConfigError]:
    from geuwsgi.cache.spec import cache_specs

    try:
        cache_specs(configuration.settings.cache)
    except ConfigError as exc:
        yield exc


def _judge_routers(configuration: Configuration) -> Iterator[ConfigError]:
    from geuwsgi.routers.plan import check_plan

    try:
        check_plan(configuration)
    except ConfigError as exc:
        yield exc


def _judge_rules(configuration: Configuration) -> Iterator[ConfigError]:
    from geuwsgi.worker.assemble import check_rules

    try:
        check_rules(configuration)
    except ConfigErrors as exc:
        yield from exc.errors
    except ConfigError as exc:
        yield exc


def _judge_master(configuration: Configuration) -> Iterator[ConfigError]:
    from geuwsgi.master.judge import judge

    yield from judge(configuration.settings)


def _top(arguments: Sequence[str]) -> int:
    from geuwsgi.stats.top import top

    return top(arguments)


_SUB_COMMANDS: dict[str, SubCommand] = {
    "cache": _cache,
    "check": _check,
    "top": _top,
}


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
