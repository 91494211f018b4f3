"""The processes the master knows, and how it starts a template."""

from __future__ import annotations

import math
import os
import subprocess
from dataclasses import dataclass

from geuwsgi.master.channel import Channel
from geuwsgi.master.plan import Role
from geuwsgi.master.prepared import Prepared
from geuwsgi.net.listeners import to_wire
from geuwsgi.worker.boot import Boot, interpreter_arguments


@dataclass(slots=True, eq=False)
class MemberProcess:
    """A process a template was told to fork; ``pid`` is 0 until it says HELLO.

    ``row`` is its row of the scoreboard.
    """

    serial: int
    generation: int
    role: Role
    number: int
    channel: Channel
    row: memoryview[int]
    pid: int = 0
    is_deaf: bool = False  # its channel has ended

    def __str__(self) -> str:
        return f"{self.role.value} {self.number}"


@dataclass(slots=True, eq=False)
class TemplateProcess:
    """A running template."""

    generation: int
    pid: int
    channel: Channel
    is_deaf: bool = False
    kill_at: float = math.inf

    @classmethod
    def start(
        cls, prepared: Prepared, *, started_on: int, title: str, request_log_fd: int
    ) -> TemplateProcess:
        """Start the template of ``prepared`` in a fresh interpreter.

        Raises :exc:`OSError` if the system does not give us a process.
        """
        channel, theirs = Channel.pair()
        boot = Boot(
            generation=prepared.number,
            master_pid=os.getpid(),
            started_on=started_on,
            scoreboard_fd=prepared.scoreboard.fileno,
            control_fd=theirs.fileno(),
            configuration=prepared.configuration.to_json(),
            listeners=to_wire(prepared.listeners),
            is_reload=prepared.number > 1,
            title=title,
            commons=prepared.commons.to_wire(),
            request_log_fd=request_log_fd,
            held=dict(prepared.held),
        )
        boot_fd = boot.write()
        settings = prepared.settings
        try:
            process = subprocess.Popen(
                interpreter_arguments(
                    boot_fd, is_template=True, optimize=settings.python.optimize
                ),
                stdin=None if settings.process.honour_stdin else subprocess.DEVNULL,
                env=dict(prepared.environ),
                pass_fds=[
                    boot_fd,
                    theirs.fileno(),
                    request_log_fd,
                    *prepared.descriptors(),
                ],
            )
        except BaseException:
            channel.close()
            raise
        finally:
            os.close(boot_fd)
            theirs.close()
        process.returncode = 0  # the loop buries it, not Popen
        return cls(prepared.number, process.pid, channel)
