"""Reading configurations: sources, dialect, values, and what is wrong with them.

``load(argv, environ)`` gives a ``Configuration`` or raises ``ConfigErrors``. Apart
from ``host``, nothing in this package touches the machine it runs on.
"""

from __future__ import annotations

from geuwsgi.config.configuration import Configuration
from geuwsgi.config.host import Host, SystemHost
from geuwsgi.config.loading import Exit, Loading, load, read
from geuwsgi.config.model import Assignment, ListenerSpec, Note, Topic

__all__ = [
    "Assignment",
    "Configuration",
    "Exit",
    "Host",
    "ListenerSpec",
    "Loading",
    "Note",
    "SystemHost",
    "Topic",
    "load",
    "read",
]
