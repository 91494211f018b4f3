"""The duty that answers SNMP requests."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from geuwsgi.background.snmpagent import snmp_tree
from geuwsgi.errors import RemoteProtocolError
from geuwsgi.master.datagrams import DatagramDuty
from geuwsgi.master.duty import Desk, Duty
from geuwsgi.master.prepared import Prepared
from geuwsgi.protocol.snmp import decode_request, encode_answer

_LARGEST = 8192
# Requests answered in one turn of the loop.
_AT_ONCE = 16
# What an option without a value may have become on its way here.
_NO_ADDRESS = ("", "0", "1", "true")


def snmp_duty(prepared: Prepared, log: Callable[[str], None]) -> Duty | None:
    """The duty, if there is an address. Raises StartupError if it is none."""
    address = prepared.settings.stats.snmp
    if address is None or address in _NO_ADDRESS:
        return None
    return SnmpDuty(prepared, address, log)


class SnmpDuty(DatagramDuty):
    """Requests that do not say the community, and malformed ones, get no answer."""

    def __init__(
        self, prepared: Prepared, address: str, log: Callable[[str], None]
    ) -> None:
        super().__init__(address, "snmp", largest=_LARGEST, at_once=_AT_ONCE)
        self.key = ("snmp", address)
        self._prepared = prepared
        self._log = log

    def begin(self, desk: Desk) -> None:
        super().begin(desk)
        self._log(f"SNMP server enabled on {self._address}")
        if not self._prepared.settings.stats.snmp_community:
            self._log("snmp: nobody is answered before a community is set")

    def follow(self, successor: Duty) -> None:
        assert isinstance(successor, SnmpDuty)
        self._prepared = successor._prepared

    def heard(self, datagram: bytes, peer: Any) -> bytes:
        prepared = self._prepared
        assert prepared.commons.snmp is not None
        try:
            request = decode_request(datagram)
        except RemoteProtocolError:
            return b""
        community = prepared.commons.snmp.community
        if not community or not hmac.compare_digest(request.community, community):
            return b""
        tree = snmp_tree(prepared.commons, prepared.settings, prepared.scoreboard)
        return encode_answer(request, tree)
