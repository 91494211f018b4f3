"""What came to a socket that is meant for another protocol. Pure.

For messages only: the first bytes tell it well enough, and nothing is decided by it.
"""

from __future__ import annotations

import re

from geuwsgi.protocol.proxy import SIGNATURE

_NAMES = (
    (rb"PRI \* ", "an HTTP/2 connection"),
    (rb"(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) ", "an HTTP request"),
    (rb"\x16\x03", "a TLS handshake"),
    (rb"PROXY |" + re.escape(SIGNATURE), "a PROXY header"),
    (rb"SSH-", "an SSH connection"),
    # A version and BEGIN_REQUEST or GET_VALUES.
    (rb"\x01[\x01\x09]", "a FastCGI record"),
    (rb"[0-9]{1,7}:", "an SCGI request"),
    # Both modifiers of a request are 0.
    (rb"(?s:\x00..\x00)", "a uwsgi packet"),
)


def name_protocol(received: bytes) -> str:
    """What begins with ``received``, with its article; empty if nobody knows."""
    for pattern, name in _NAMES:
        # Compiled when it is needed, which for most servers is never.
        if re.match(pattern, received):
            return name
    return ""
