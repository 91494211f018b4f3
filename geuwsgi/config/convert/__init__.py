"""Configurations of other servers as ini files for geuwsgi.

What has an equivalent becomes an option; what has none is named in a comment, so that
nothing is lost in silence.
"""

from __future__ import annotations

from geuwsgi.config.convert.gunicorn import convert_gunicorn
from geuwsgi.config.convert.unit import convert_unit
from geuwsgi.config.convert.writer import IniWriter
from geuwsgi.config.host import Host, SourceError
from geuwsgi.config.sources import decode
from geuwsgi.errors import ConfigError


def convert(name: str, host: Host) -> str:
    """The ini text that a gunicorn.conf.py or a Unit JSON file comes to.

    Raises ConfigError if the file cannot be read or understood.
    """
    try:
        text = decode(host.read_file(name))
    except SourceError as exc:
        raise ConfigError(str(exc)) from exc
    writer = IniWriter(name)
    if name.endswith(".json"):
        convert_unit(text, name, writer)
    else:
        convert_gunicorn(text, name, writer, host)
    return writer.text()


__all__ = ["convert"]
