"""Why a message was not handled, and what is to happen with it."""

from __future__ import annotations

import traceback
from os.path import dirname

from gristmill.duration import Duration, milliseconds

#: The most bytes of a reason that are kept with a message.
MAX_REASON = 4096

_SDK = dirname(__file__)
#: Where the folder of the handler lies in a component.
_USER = "/0/"


class Failure(Exception):
    """Raised by a handler to say what is to happen with the message; raise one of those below."""

    #: The case of the interface.
    kind: str
    #: Why, if there is a reason.
    reason: str | None = None
    #: The least time to wait, in milliseconds, if there is one.
    delay_ms: int | None = None


class Reject(Failure):
    """It will never work: the message is dead now."""

    kind = "reject"

    def __init__(self, why: object) -> None:
        super().__init__(str(why))
        self.reason = str(why)


class Retry(Failure):
    """It may work later: comes again after the back-off of its queue. Any other exception does the same."""

    kind = "retry"

    def __init__(self, why: object) -> None:
        super().__init__(str(why))
        self.reason = str(why)


class RetryAfter(Failure):
    """It may work after this time, in seconds or as a `timedelta`."""

    kind = "retry-after"

    def __init__(self, why: object, delay: Duration) -> None:
        super().__init__(str(why))
        self.reason = str(why)
        self.delay_ms = milliseconds(delay, "the delay of RetryAfter")


class Postpone(Failure):
    """It is not its turn: comes again after this time, in seconds or as a `timedelta`; not counted."""

    kind = "postpone"

    def __init__(self, delay: Duration) -> None:
        super().__init__(f"postponed for {delay}")
        self.delay_ms = milliseconds(delay, "the delay of Postpone")


def reason_of(error: BaseException) -> str:
    """What an exception says, with its traceback and what it came from; at most 4 KiB.

    The message comes first, where operators look; the frames of this SDK are left out.
    """
    if isinstance(error, Failure):
        return clip(error.reason or "")
    parts = []
    seen: set[int] = set()
    next_one: BaseException | None = error
    while next_one is not None and id(next_one) not in seen and len(parts) < 8:
        seen.add(id(next_one))
        parts.append(_said(next_one))
        hidden = next_one.__suppress_context__
        next_one = next_one.__cause__ or (None if hidden else next_one.__context__)
    return clip("\ncaused by: ".join(parts))


def _said(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(type(error), error)).rstrip()
    frames = [
        traceback.FrameSummary(f.filename.removeprefix(_USER), f.lineno, f.name, line=f.line)
        for f in traceback.extract_tb(error.__traceback__)
        if dirname(f.filename) != _SDK
    ]
    if not frames:
        return text
    return f"{text}\nTraceback (most recent call last):\n{''.join(traceback.format_list(frames)).rstrip()}"


def is_of_the_user(file: str) -> bool:
    """Whether a file of a component is of the folder of the handler."""
    return file.startswith(_USER)


def clip(reason: str) -> str:
    """The beginning of a text that has no more bytes than a reason may have, cut between characters."""
    raw = reason.encode("utf-8", "replace")
    return raw[:MAX_REASON].decode("utf-8", "ignore")
