"""One run of a handler against the fake: the interfaces of the host, with its rules and its limits."""

from __future__ import annotations

import unicodedata
from copy import copy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from gristmill.message import Message

# The host's defaults. A test compares them with those of the Rust SDK, which are compared with the host's.
MAX_BODY = 64 * 1024 * 1024
MAX_SENDS = 100
MAX_SEND_BYTES = 4 * 1024 * 1024
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_NAME = 256
MAX_ATTRIBUTE_BYTES = 64 * 1024
RESERVED_ATTRIBUTE_PREFIX = "gristmill-"
MAX_ENVELOPE_FIELD = 1024
MAX_STATE_KEY = 512
MAX_STATE_VALUE = 256 * 1024
MAX_STATE_KEYS = 1000
MAX_STATE_BYTES = 4 * 1024 * 1024
MAX_LISTED_KEYS = 1000
LISTED_PER_KEY = 10


class FakeError(Exception):
    """An error of the interface: its case, and what it holds."""

    def __init__(self, case: str, value: Any = None) -> None:
        super().__init__(case)
        self.value = type(f"Error_{case}", (), {"value": value})()


@dataclass(frozen=True)
class Value:
    """A stored value."""

    raw: bytes
    is_counter: bool = False

    @classmethod
    def of_counter(cls, count: int) -> Value:
        return cls(count.to_bytes(8, "little", signed=True), True)

    def count(self) -> int:
        return int.from_bytes(self.raw, "little", signed=True)


@dataclass
class Changes:
    """Everything that a rollback undoes."""

    state: dict[str, Value]
    sent: list[dict[str, Any]] = field(default_factory=list)
    sent_bytes: int = 0
    #: The size of the value of each key that was changed; 0 for one removed.
    written: dict[str, int] = field(default_factory=dict)

    def __copy__(self) -> Changes:
        return Changes(dict(self.state), list(self.sent), self.sent_bytes, dict(self.written))


class Held:
    """The changes so far, the marks among them, and what a rollback does not undo."""

    def __init__(self, state: dict[str, Value]) -> None:
        self.changes = Changes(dict(state))
        self._marks: list[Changes] = []
        self._touched: set[str] = set()
        self._listed = 0

    def has_room_for(self, size: int) -> bool:
        held = self.changes
        return len(held.sent) < MAX_SENDS and held.sent_bytes + size <= MAX_SEND_BYTES

    def push(self, sent: dict[str, Any]) -> None:
        self.changes.sent_bytes += len(sent["body"])
        self.changes.sent.append(sent)

    def mark(self) -> int:
        self._marks.append(copy(self.changes))
        return len(self._marks) - 1

    def rollback_to(self, mark: int) -> None:
        if not 0 <= mark < len(self._marks):
            raise RuntimeError("there is no such mark: the host would trap here")
        self.changes = copy(self._marks[mark])
        del self._marks[mark + 1 :]

    def get(self, key: str) -> bytes | None:
        self._touch(key)
        value = self.changes.state.get(key)
        return None if value is None else value.raw

    def set(self, key: str, value: bytes) -> None:
        if len(value) > MAX_STATE_VALUE:
            raise FakeError("TooLarge", MAX_STATE_VALUE)
        self._touch(key)
        self._account(key, len(value))
        self.changes.state[key] = Value(value)

    def remove(self, key: str) -> None:
        self._touch(key)
        self._account(key, 0)
        self.changes.state.pop(key, None)

    def add(self, key: str, delta: int) -> None:
        self._touch(key)
        before = self.changes.state.get(key, Value.of_counter(0))
        if not before.is_counter:
            raise FakeError("NotACounter")
        self._account(key, 8)
        wrapped = (before.count() + delta + 2**63) % 2**64 - 2**63
        self.changes.state[key] = Value.of_counter(wrapped)

    def list_keys(self, prefix: str, after: str | None, limit: int) -> list[str]:
        if any(len(text.encode()) > MAX_STATE_KEY for text in (prefix, after or "")):
            raise FakeError("InvalidKey")
        if self._listed >= MAX_STATE_KEYS * LISTED_PER_KEY:
            raise FakeError("QuotaExceeded")
        keys = sorted((key for key in self.changes.state if key.startswith(prefix)), key=str.encode)
        keys = [key for key in keys if after is None or key.encode() > after.encode()]
        keys = keys[: min(limit, MAX_LISTED_KEYS)]
        self._listed += 1 + len(keys)
        return keys

    def _touch(self, key: str) -> None:
        if not 1 <= len(key.encode()) <= MAX_STATE_KEY:
            raise FakeError("InvalidKey")
        if key not in self._touched:
            if len(self._touched) >= MAX_STATE_KEYS:
                raise FakeError("QuotaExceeded")
            self._touched.add(key)

    def _account(self, key: str, size: int) -> None:
        """What is written counts once for each key."""
        written = self.changes.written
        if sum(written.values()) - written.get(key, 0) + size > MAX_STATE_BYTES:
            raise FakeError("QuotaExceeded")
        written[key] = size


@dataclass
class Setup:
    """What the test says about every delivery. Times are milliseconds."""

    queues: dict[str, int] | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    max_attempts: int | None = 10
    previous_failure: str | None = None
    remaining: int = 30_000
    max_remaining: int = 15 * 60_000
    ending: bool = False


class Attempt:
    """The attempt in progress."""

    def __init__(self, setup: Setup, held: Held, ids: int, message: Message, large: bytes | None) -> None:
        self.setup = setup
        self.held = held
        self.ids = ids
        self.progress: tuple[int, str] | None = None
        self._message = message
        self._body = message.body if large is None else large

    def interfaces(self) -> dict[str, Any]:
        held, setup = self.held, self.setup
        return {
            "producer": SimpleNamespace(send=self._send, reply=self._reply),
            "state": held,
            "transaction": held,
            "delivery": SimpleNamespace(
                remaining=lambda: setup.remaining,
                extend=self._extend,
                ending=lambda: setup.ending,
                progress=self._progress,
                max_attempts=lambda: setup.max_attempts,
                previous_failure=lambda: setup.previous_failure,
            ),
            "secrets": SimpleNamespace(get=setup.secrets.get),
            "body": SimpleNamespace(
                size=lambda of: len(self._body_of(of)),
                read=lambda of, offset, most: self._body_of(of)[offset : offset + min(most, 1024 * 1024)],
            ),
        }

    def _send(self, to: str, outgoing: Any) -> str:
        queues = self.setup.queues
        if queues is not None and to not in queues:
            raise FakeError("NotPermitted")
        return self._hold(to, outgoing, outgoing.correlation_id, False)

    def _reply(self, to: str, outgoing: Any) -> str:
        message = self._message
        if to != message.id or message.reply_to is None:
            raise FakeError("NoRecipient")
        tied = outgoing.correlation_id or message.correlation_id or message.id
        return self._hold(message.reply_to, outgoing, tied, True)

    def _hold(self, to: str, outgoing: Any, correlation_id: str | None, is_reply: bool) -> str:
        max_body = (self.setup.queues or {}).get(to, MAX_BODY)
        if len(outgoing.body) > max_body:
            raise FakeError("TooLarge", max_body)
        problem = _problem(outgoing)
        if problem:
            raise FakeError("Invalid", problem)
        if not self.held.has_room_for(len(outgoing.body)):
            raise FakeError("TooMany")
        self.ids += 1
        sent = dict(outgoing.__dict__, to=to, id=f"00000000-0000-7000-9000-{self.ids:012x}", is_reply=is_reply)
        sent["type"] = sent.pop("message_type")
        sent.update(attributes=dict(outgoing.attributes), correlation_id=correlation_id)
        self.held.push(sent)
        return str(sent["id"])

    def _extend(self, need: int) -> int:
        if self.setup.ending:
            raise FakeError("Ending")
        if need > self.setup.max_remaining:
            raise FakeError("LimitReached")
        self.setup.remaining = max(self.setup.remaining, need)
        return self.setup.remaining

    def _progress(self, percent: int, note: str) -> None:
        self.progress = (percent, note)

    def _body_of(self, message_id: str) -> bytes:
        if message_id != self._message.id:
            raise FakeError("NotDelivered")
        return self._body


def _has_control(text: str) -> bool:
    return any(unicodedata.category(c) == "Cc" for c in text)


def _problem(outgoing: Any) -> str | None:
    """Which rule for the envelope of a message is broken."""
    for name in ("content_type", "group", "correlation_id", "message_type", "schema_version", "dedup_id"):
        value, shown = getattr(outgoing, name), name.replace("message_type", "type")
        if value is None:
            continue
        size = len(value.encode())
        if not 1 <= size <= MAX_ENVELOPE_FIELD:
            return f"{shown} must have 1 to {MAX_ENVELOPE_FIELD} bytes, but has {size}"
        if _has_control(value):
            return f"{shown} must not contain control characters"
    if outgoing.priority is not None and not 0 <= outgoing.priority <= 9:
        return "the priority must be 0 to 9"
    if outgoing.ttl == 0:
        return "ttl must be at least 1 ms"
    if outgoing.ttl is not None and outgoing.ttl <= (outgoing.delay or 0):
        return "the message would expire before it is due"
    size = sum(len(name.encode()) + len(value.encode()) for name, value in outgoing.attributes)
    if len(outgoing.attributes) > MAX_ATTRIBUTES or size > MAX_ATTRIBUTE_BYTES:
        return "a message has at most 64 attributes of 64 KiB together"
    for name, _ in outgoing.attributes:
        if not 1 <= len(name.encode()) <= MAX_ATTRIBUTE_NAME or _has_control(name):
            return f'attribute name "{name}" must have 1 to 256 bytes and no control characters'
        if name.startswith(RESERVED_ATTRIBUTE_PREFIX):
            return f'attribute name "{name}" is reserved'
    return None
