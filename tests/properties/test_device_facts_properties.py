"""Whatever a device says of itself, what is kept of it fits the database, and a time zone is a real one."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from catalog import device_facts
from catalog.mdm.payloads import FACTS
from vppportal.groups import time_zones
from vppportal.groups.models import Platform

TEXTS = st.text(max_size=130) | st.sampled_from(["Europe/Berlin", "europe/berlin", "26.1", "Mac14,2", "  ", "GMT+1"])
SAID = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.binary(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
ANSWERS = st.dictionaries(st.sampled_from([*FACTS, "Model", "SerialNumber", "IsSupervised"]), SAID, max_size=8)
LONGEST = {"name": 120, "model": 80, "os_version": 20, "time_zone": 64, "serial_number": 32, "platform": 10}


@given(SAID | st.fixed_dictionaries({}, optional={"QueryResponses": SAID | ANSWERS}))
def test_whatever_a_device_says_fits(payload: Any) -> None:
    told = payload if isinstance(payload, dict) else {"QueryResponses": payload}
    for name, value in device_facts.read(told).items():
        assert value
        assert len(value) <= LONGEST[name]
        assert name != "platform" or value in Platform.values
        assert name != "time_zone" or str(ZoneInfo(value)) == value


@given(st.sampled_from(time_zones.known()), st.data())
def test_a_time_zone_is_known_whatever_its_capitals(name: str, data: st.DataObject) -> None:
    written = "".join(data.draw(st.sampled_from([char.upper(), char.lower()])) for char in name)
    assert time_zones.named(f" {written.replace('_', ' ')} ") == name


@given(st.text(max_size=40))
def test_no_other_text_is_a_time_zone(text: str) -> None:
    assert time_zones.named(text) in {"", *time_zones.known()}
