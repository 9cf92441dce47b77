"""Dates and times as text that sorts by time (PS3.5 6.2: DA, TM, DT)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_DATETIME = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?)?)?([+-]\d{4})?",
)
_DAYS = {"02": "28", "04": "30", "06": "30", "09": "30", "11": "30"}
_FORM = "%Y%m%d%H%M%S.%f"


def padded_date(date: str) -> str:
    """A date without the dots of ACR-NEMA, which are still met."""
    return date.replace(".", "")


def padded_time(time: str) -> str:
    """A time filled up to HHMMSS.FFFFFF, so that text order is time order; empty for none."""
    whole, _, fraction = time.replace(":", "").partition(".")  # the colons of ACR-NEMA are still met
    return f"{whole:0<6}.{fraction:0<6}" if whole else ""


def span(text: str) -> tuple[str, str] | None:
    """The first and the last moment that a DT can mean, as ``YYYYMMDDHHMMSS.FFFFFF`` in UTC; None for what is no DT.

    A value without an offset is taken as UTC.
    """
    found = _DATETIME.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    low = f"{year}{month or '01'}{day or '01'}{hour or '00'}{minute or '00'}{second or '00'}.{(fraction or '').ljust(6, '0')}"
    last_day = day or _last_day(year, month or "12")
    high = f"{year}{month or '12'}{last_day}{hour or '23'}{minute or '59'}{second or '59'}.{(fraction or '').ljust(6, '9')}"
    if offset is None:
        return low, high
    try:
        return _in_utc(low, offset), _in_utc(high, offset)
    except (ValueError, OverflowError):
        return None


def _last_day(year: str, month: str) -> str:
    leap = int(year) % 4 == 0 and (int(year) % 100 != 0 or int(year) % 400 == 0)
    return "29" if month == "02" and leap else _DAYS.get(month, "31")


def _in_utc(moment: str, offset: str) -> str:
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    local = datetime.strptime(moment, _FORM)
    utc = local - shift if offset[0] == "+" else local + shift
    return f"{utc.year:04d}{utc.strftime(_FORM[2:])}"
