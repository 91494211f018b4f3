"""Options that are read and checked, but whose feature is not there yet.

Names by what they wait for, one a line: a name goes when its feature comes. The text
completes the sentence "accepted, not in effect yet: …".
"""

from __future__ import annotations

_WAITING = {
    "requests are not sent on to other servers yet": """
        http-zerg
    """,
    "this step of the start is not taken yet": """
        binsh
        command-mode
    """,
    "Python is started without it so far": """
        pecan
        py-master-check-signals
        py-programname
        python-raw
    """,
    "there are no subscriptions of this kind yet": """
        subscription-mountpoints
        subscription-tolerance-inactive
    """,
    "routers do without it so far": """
        fastrouter-defer-connect-timeout
        fastrouter-emperor-socket
        fastrouter-zerg
        rawrouter-zerg
        sslrouter-zerg
    """,
}

PENDING: dict[str, str] = {
    name: reason for reason, names in _WAITING.items() for name in names.split()
}
