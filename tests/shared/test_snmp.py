from __future__ import annotations

import os

from geuwsgi.shared.snmp import COUNTER32, COUNTER64, GAUGE, SnmpNumbers


def test_numbers_are_set_changed_and_cut_to_their_kind() -> None:
    numbers = SnmpNumbers.create()
    assert numbers.get(1) is None
    assert numbers.set(1, COUNTER32, (1 << 32) + 5)
    assert numbers.add(1, COUNTER32, 3)
    assert numbers.get(1) == (COUNTER32, 8)
    assert numbers.add(2, GAUGE, -1)
    assert numbers.get(2) == (GAUGE, (1 << 32) - 1)
    assert numbers.set(100, COUNTER64, 1 << 40)
    assert numbers.get(100) == (COUNTER64, 1 << 40)
    for number in (0, 101, -1):
        assert not numbers.set(number, GAUGE, 1)
        assert not numbers.add(number, GAUGE, 1)
        assert numbers.get(number) is None


def test_another_process_sees_them() -> None:
    numbers = SnmpNumbers.create()
    wire = numbers.to_wire()
    wire["region"]["fd"] = os.dup(wire["region"]["fd"])
    SnmpNumbers.from_wire(wire).set(7, GAUGE, 9)
    assert numbers.get(7) == (GAUGE, 9)
