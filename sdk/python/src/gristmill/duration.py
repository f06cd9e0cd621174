"""Lengths of time: seconds or `timedelta` outside, whole milliseconds inside."""

from __future__ import annotations

from datetime import timedelta
from typing import Union

#: Seconds, or a `timedelta`.
Duration = Union[int, float, timedelta]


def milliseconds(length: Duration, what: str) -> int:
    """Whole milliseconds of a length of time that is not negative."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 2**43:
        raise TypeError(f"{what} must be seconds or a timedelta, and not negative: {length!r}")
    return round(seconds * 1000)
