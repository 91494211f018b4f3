"""One way into all file formats. Those that few sites use are imported when met."""

from __future__ import annotations

from geuwsgi.config.ini import parse_ini
from geuwsgi.config.parsed import Parsed


def parse_document(text: str, format: str, section: str) -> Parsed:
    """The options of ``section`` in a text of a format that ``sources`` names."""
    if format == "yaml":
        from geuwsgi.config.yaml import parse_yaml

        return parse_yaml(text, section)
    if format == "json":
        from geuwsgi.config.objects import parse_json

        return parse_json(text, section)
    if format == "toml":
        from geuwsgi.config.objects import parse_toml

        return parse_toml(text, section)
    if format == "xml":
        from geuwsgi.config.xml import parse_xml

        return parse_xml(text, section)
    return parse_ini(text, section)
