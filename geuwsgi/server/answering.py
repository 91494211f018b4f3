"""The loop of a connection, and what is called for each of its requests.

Between the start of a connection's greenlet and the application there are only the
functions of this module and ``run_application``, and they are never compiled: calls
from Python to Python use no C stack, of which a parked greenlet keeps a copy. The
same loop in compiled code costs 2 KiB more for each long poll that is held
(benchmarks: longpoll-10k).
"""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

from geuwsgi.errors import Disconnected
from geuwsgi.server.abort import RequestAborted
from geuwsgi.wsgi.gateway import run_application

if TYPE_CHECKING:
    from geuwsgi.server.connection import Connection
    from geuwsgi.server.exchange import Exchange
    from geuwsgi.server.site import Site


#: What becomes of a connection after a request: it ends, its greenlet waits for the
#: next one, or it waits without.
ENDS = 0
STAYS = 1
RESTS = 2


def answer(connection: Connection, exchange: Exchange) -> None:
    """Have ``exchange`` answered: by a stage, the application, or an error."""
    exchange.begin()
    try:
        application = exchange.choose()
        if application is not None:
            run_application(application, exchange)
        exchange.finish()
    except BaseException as exc:
        connection.fail(exchange, exc)
    finally:
        exchange.conclude()


def serve(site: Site, connection: Connection) -> bool:
    """Serve ``connection`` in the current greenlet; false if it has ended.

    True if it rests: then it waits for its next request without a greenlet, and
    ``site.greenlets`` has it served again. Never raises.
    """
    try:
        while (exchange := connection.next_exchange()) is not None:
            answer(connection, exchange)
            course = connection.settle(exchange)
            # What this request held must not stay while the next one is awaited.
            del exchange
            if course == RESTS:
                return True
            if course == ENDS:
                break
    except Disconnected:
        pass
    except RequestAborted:
        connection.stream.reset_on_close()
    except BaseException:
        # A fault of the server's. It must not take the worker along.
        _report(site)
    try:
        connection.stream.close()
    except BaseException:
        _report(site)
    return False


def _report(site: Site) -> None:
    try:
        site.report(traceback.format_exc())
    except BaseException:
        traceback.print_exc(file=sys.stderr)
