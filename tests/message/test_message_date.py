"""Dates as they stand in mail."""

import time
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.message.date import local_date, mail_date


def test_a_date_has_no_weekday_and_no_padding() -> None:
    """That is how qmail writes RFC 5322's dates."""
    assert mail_date(1_795_132_800) == b"20 Nov 2026 00:00:00 -0000"
    assert mail_date(1_799_193_600.9) == b"6 Jan 2027 00:00:00 -0000"


@pytest.mark.parametrize(
    ("zone", "offset"), [("UTC0", "+0000"), ("EST5", "-0500"), ("IST-5:30", "+0530"), ("NST3:30", "-0330")]
)
def test_a_local_date_names_its_zone(monkeypatch: pytest.MonkeyPatch, zone: str, offset: str) -> None:
    """East of Greenwich is +, and half hours are told."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        written = local_date(1_795_132_800).decode()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert written.endswith(f":00 {offset}")
    assert parsedate_to_datetime(written).timestamp() == 1_795_132_800


@given(st.integers(0, 4_000_000_000))
def test_any_date_is_read_as_it_was_meant(when: int) -> None:
    """By Python's parser."""
    assert (
        parsedate_to_datetime(mail_date(when).decode()).timestamp()
        == parsedate_to_datetime(time.strftime("%d %b %Y %H:%M:%S +0000", time.gmtime(when)))
        .replace(tzinfo=None)
        .timestamp()
    )
