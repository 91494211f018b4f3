"""Whole YAML by PyYAML. Importing this module without it raises ImportError."""

from __future__ import annotations

import yaml

from geuwsgi.config.parsed import Line, Parsed


def parse_with_pyyaml(text: str, section: str) -> Parsed:
    """The options of ``section`` in a YAML text, as written: 0664 stays 0664."""
    parsed = Parsed([], False, [], [], [])
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(exc, "problem", None) or str(exc)
        parsed.errors.append((line, f"malformed YAML: {problem}"))
        return parsed
    if not isinstance(root, yaml.MappingNode):
        return parsed
    found = False
    for key, value in root.value:
        parsed.sections.append(str(key.value))
        if key.value != section:
            continue
        found = True
        if isinstance(value, yaml.MappingNode):
            for name, node in value.value:
                _add(name, node, parsed)
    return parsed._replace(has_section=found)


def _add(name: yaml.Node, node: yaml.Node, parsed: Parsed) -> None:
    number = name.start_mark.line + 1
    if not isinstance(name, yaml.ScalarNode):
        parsed.errors.append((number, "the name of an option is not a text"))
    elif isinstance(node, yaml.ScalarNode):
        parsed.lines.append(Line(name.value, node.value, number))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.ScalarNode):
                line = item.start_mark.line + 1
                parsed.lines.append(Line(name.value, item.value, line))
            else:
                sentence = f"{name.value}: a list may hold only texts and numbers"
                parsed.errors.append((number, sentence))
    else:
        sentence = f"{name.value}: a value is a text, a number or a list of them"
        parsed.errors.append((number, sentence))
