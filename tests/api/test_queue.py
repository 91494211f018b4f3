from __future__ import annotations

from geuwsgi.api.queue import QueueFunctions
from geuwsgi.shared.queue import SharedQueue
from tests.api.answers import compare


def test_a_queue_answers_as_uwsgi() -> None:
    queue = SharedQueue.create(4, 4096)
    functions = QueueFunctions(queue)
    named = {name: getattr(functions, name) for name in QueueFunctions.NAMES}
    assert compare("queue", {**named, "queue_size": queue.size}) == []
    queue.close()
