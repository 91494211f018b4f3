from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from geuwsgi import api
from geuwsgi.api import ApiContext
from geuwsgi.api.alias import DecoratorsFinder
from geuwsgi.background.commons import Commons
from geuwsgi.config import load
from geuwsgi.shared.scoreboard import Scoreboard

MakeModule = Callable[..., tuple[ModuleType, ApiContext]]


@pytest.fixture
def make_module() -> Iterator[MakeModule]:
    """Return a function that makes the ``uwsgi`` module as options ask for it.

    The test's process counts as the instance's master.
    """
    made: list[Commons] = []
    before = dict(sys.modules)

    def make(*argv: str) -> tuple[ModuleType, ApiContext]:
        configuration = load(argv, {})
        commons = Commons.create(configuration.settings)
        made.append(commons)
        context = ApiContext(
            configuration=configuration,
            scoreboard=Scoreboard.create(4),
            listeners=[],
            started_on=0,
            cores=1,
            numproc=configuration.settings.workers.processes,
            master_pid=os.getpid(),
            commons=commons,
        )
        return api.install(context), context

    yield make
    for name in ("uwsgi", "uwsgidecorators", "geuwsgi.decorators"):
        sys.modules.pop(name, None)
        if name in before:
            sys.modules[name] = before[name]
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not isinstance(finder, DecoratorsFinder)
    ]
    for commons in made:
        commons.close()
