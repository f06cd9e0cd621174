"""The delivery in progress: how long it may take, and what is known about it. Times are seconds."""

from __future__ import annotations

from gristmill.duration import Duration, milliseconds
from gristmill.host import host, tag_of


class ExtendError(Exception):
    """Why the deadline was not moved."""


def remaining() -> float:
    """Seconds left until the host stops the handler."""
    return host("delivery").remaining() / 1000  # type: ignore[no-any-return]


def extend(need: Duration) -> float:
    """Asks that at least this much time be left; returns the seconds left."""
    ms = milliseconds(need, "the time of extend")
    try:
        return host("delivery").extend(ms) / 1000  # type: ignore[no-any-return]
    except Exception as error:
        code, _ = tag_of(error)
        raise ExtendError(
            "no more time: the most that a delivery may take in all would be exceeded; raise max_timeout in the "
            "configuration of the handler"
            if code == "limit-reached"
            else "no more time: the delivery is being ended"
        ) from None


def ending() -> bool:
    """Whether the handler should wind up early."""
    return bool(host("delivery").ending())


def progress(percent: int, note: str = "") -> None:
    """Tells operators how far the delivery has come."""
    host("delivery").progress(percent, note)


def max_attempts() -> int | None:
    """How many attempts a message gets, if there is a limit."""
    return host("delivery").max_attempts()  # type: ignore[no-any-return]


def previous_failure() -> str | None:
    """Why the previous attempt at this message failed, if it did."""
    return host("delivery").previous_failure()  # type: ignore[no-any-return]
