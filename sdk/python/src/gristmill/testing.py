"""A fake delivery, so that handlers can be tested with `unittest` or any other runner, and without a host.

It follows the rules of the host: reads see the handler's own writes, effects count only if the handler
succeeds, and the limits are the host's defaults. It does not know back-off, conflicts with other deliveries,
or time.

    host = Delivery().allow("invoices")
    assert host.run(handle, Message.of_json({"id": "a1", "cents": 250})) == Done()
    assert host.counter("cents") == 250
    assert host.sent("invoices")[0].json() == {"order": "a1"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Callable

from gristmill._fake import Attempt, Held, Setup, Value
from gristmill.duration import Duration, milliseconds
from gristmill.entry import run
from gristmill.failure import Failure, reason_of
from gristmill.host import is_running, rebind, set_running
from gristmill.message import Message

__all__ = ["Delivery", "Message", "Outcome", "Sent"]


@dataclass(frozen=True)
class Outcome:
    """What became of a message: `kind` is "done", "retry", "retry-after", "reject" or "postpone"."""

    kind: str
    reason: str | None = None
    delay_ms: int | None = None

    @property
    def ok(self) -> bool:
        return self.kind == "done"


@dataclass(frozen=True)
class Sent:
    """A message that was sent by a handler that succeeded. Times are milliseconds."""

    to: str
    id: str
    is_reply: bool
    body: bytes
    content_type: str | None
    attributes: dict[str, str]
    group: str | None
    correlation_id: str | None
    reply_to: str | None
    type: str | None
    schema_version: str | None
    priority: int | None
    dedup_id: str | None
    delay: int | None
    ttl: int | None

    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text())


class Delivery:
    """A host in small: it runs handlers, and keeps what they sent and stored."""

    def __init__(self) -> None:
        self._setup = Setup()
        self._state: dict[str, Value] = {}
        self._sent: list[Sent] = []
        self._ids = 0
        #: What the last handler that ran said about its progress: percent and note.
        self.progress: tuple[int, str] | None = None

    def allow(self, queue: str, max_body: int = 64 * 1024 * 1024) -> Delivery:
        """Allows sending to this queue. From the first call on, only queues so named are allowed."""
        queues = dict(self._setup.queues or {})
        queues[queue] = max_body
        self._setup = replace(self._setup, queues=queues)
        return self

    def set_state(self, key: str, value: Any) -> Delivery:
        """Stores a value: bytes as they are, text as UTF-8, anything else as JSON."""
        if not isinstance(value, (bytes, str)):
            value = json.dumps(value, ensure_ascii=False)
        self._state[key] = Value(value.encode() if isinstance(value, str) else value)
        return self

    def set_counter(self, key: str, count: int) -> Delivery:
        """Stores a counter."""
        self._state[key] = Value.of_counter(count)
        return self

    def set_secret(self, name: str, value: str) -> Delivery:
        """Grants a secret."""
        self._setup = replace(self._setup, secrets={**self._setup.secrets, name: value})
        return self

    def set_max_attempts(self, most: int | None) -> Delivery:
        """What `delivery.max_attempts()` says; 10 unless told otherwise."""
        self._setup = replace(self._setup, max_attempts=most)
        return self

    def set_previous_failure(self, why: str | None) -> Delivery:
        """What `delivery.previous_failure()` says."""
        self._setup = replace(self._setup, previous_failure=why)
        return self

    def set_remaining(self, remaining: Duration, most: Duration = 15 * 60) -> Delivery:
        """The time left when a handler starts, and how far it can be extended."""
        remaining_ms = milliseconds(remaining, "remaining")
        self._setup = replace(self._setup, remaining=remaining_ms, max_remaining=milliseconds(most, "most"))
        return self

    def set_ending(self, ending: bool) -> Delivery:
        """Whether handlers are asked to wind up."""
        self._setup = replace(self._setup, ending=ending)
        return self

    def run(self, handle: Callable[[Message], Any], message: Message, *, large: bytes | None = None) -> Outcome:
        """Calls a handler with a message. If it returns, what it sent and stored is kept; otherwise that is dropped.

        `large` is a body that is found only by `open_body`.
        """
        if is_running():
            raise RuntimeError("a delivery is already running: a handler cannot run another")
        attempt = Attempt(replace(self._setup), Held(self._state), self._ids, message, large)
        before = rebind(attempt.interfaces())
        outcome = Outcome("done")
        try:
            run(handle, message)
        except Failure as failure:
            outcome = Outcome(failure.kind, None if failure.reason is None else reason_of(failure), failure.delay_ms)
        except Exception as error:
            outcome = Outcome("retry", reason_of(error))
        finally:
            set_running(False)
            rebind(before)
            self._ids = attempt.ids
            self.progress = attempt.progress
        if outcome.ok:
            self._state = attempt.held.changes.state
            self._sent.extend(Sent(**sent) for sent in attempt.held.changes.sent)
        return outcome

    def sent(self, queue: str | None = None) -> list[Sent]:
        """All that handlers which succeeded have sent, in order; with a queue, what was sent there."""
        return [sent for sent in self._sent if queue is None or sent.to == queue]

    def state(self, key: str) -> bytes | None:
        """The value of a state key."""
        value = self._state.get(key)
        return None if value is None else value.raw

    def state_json(self, key: str) -> Any:
        """The value of a state key as JSON, or `None`."""
        value = self.state(key)
        return None if value is None else json.loads(value)

    def counter(self, key: str) -> int:
        """What a counter stands at; 0 if there is none."""
        value = self._state.get(key)
        if value is None:
            return 0
        assert value.is_counter, f"{key!r} holds no counter"
        return value.count()

    def keys(self) -> list[str]:
        """The keys of the state, in byte order."""
        return sorted(self._state, key=str.encode)
