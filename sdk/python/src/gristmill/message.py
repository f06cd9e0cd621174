"""The message that a handler is called with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from gristmill.failure import Reject


@dataclass(frozen=True)
class TraceContext:
    """W3C Trace Context, for handlers that pass it on."""

    traceparent: str
    tracestate: str = ""


@dataclass(frozen=True)
class Message:
    """A message as it is delivered; in tests, one that is made: `Message.of_json({...}, attempt=2)`.

    Delivery is at least once, so a handler may see the same `id` again. What it sends and stores counts only
    once all the same; for what it does outside the host, `id` is the idempotency key.
    """

    #: The payload, exactly as it was sent; empty if it is large and the handler uses `open_body`.
    body: bytes = b""
    #: Identifies the message: a UUID, the same on every delivery.
    id: str = "00000000-0000-7000-8000-000000000001"
    #: The queue it came from.
    queue: str = "test"
    #: The media type of `body`, if the sender gave one.
    content_type: str | None = None
    #: What the sender attached, in the order given.
    attributes: dict[str, str] = field(default_factory=dict)
    #: The group (ordering key): messages of a group are delivered in order, one at a time.
    group: str | None = None
    #: Ties replies to requests.
    correlation_id: str | None = None
    #: The message whose handling led to this one, if a handler sent it.
    causation_id: str | None = None
    #: Where the sender wants an answer; see `reply`.
    reply_to: str | None = None
    #: What kind of message this is, such as `order.placed`.
    type: str | None = None
    #: The version of the schema that `body` follows.
    schema_version: str | None = None
    #: Who sent it.
    source: str | None = None
    #: How urgent it is, 0 to 9, higher first.
    priority: int = 4
    #: Trace context, if the sender gave one.
    trace: TraceContext | None = None
    #: When its queue accepted it.
    enqueued_at: datetime = datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)
    #: When it expires, if it does.
    expires_at: datetime | None = None
    #: Which attempt this is: 1 on the first.
    attempt: int = 1

    def text(self) -> str:
        """The body as text; a body that is not UTF-8 is rejected, as no repetition would help."""
        try:
            return self.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Reject(f"the body is not UTF-8 text: {error.reason} at {error.start}") from None

    def json(self) -> Any:
        """The body as JSON; a body that is not JSON is rejected."""
        try:
            return json.loads(self.text())
        except ValueError as error:
            raise Reject(f"the body is not JSON: {error}") from None

    @classmethod
    def of_json(cls, value: Any, **fields: Any) -> Message:
        """A message of JSON, for tests."""
        fields.setdefault("content_type", "application/json")
        return cls(body=json.dumps(value).encode(), **fields)

    @classmethod
    def of_text(cls, text: str, **fields: Any) -> Message:
        """A message of text, for tests."""
        fields.setdefault("content_type", "text/plain; charset=utf-8")
        return cls(body=text.encode(), **fields)


def message_of(record: Any) -> Message:
    """A record of the interface, as a message."""
    trace = record.trace
    return Message(
        body=record.body,
        id=record.id,
        queue=record.queue,
        content_type=record.content_type,
        attributes=dict(record.attributes),
        group=record.group,
        correlation_id=record.correlation_id,
        causation_id=record.causation_id,
        reply_to=record.reply_to,
        type=record.message_type,
        schema_version=record.schema_version,
        source=record.source,
        priority=record.priority,
        trace=None if trace is None else TraceContext(trace.traceparent, trace.tracestate),
        enqueued_at=_time(record.enqueued_at),
        expires_at=None if record.expires_at is None else _time(record.expires_at),
        attempt=record.attempt,
    )


#: Times beyond the years that Python knows are the last that it does.
_LATEST = 253_402_300_799_999


def _time(unix_ms: int) -> datetime:
    seconds, ms = divmod(min(unix_ms, _LATEST), 1000)
    return datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=ms * 1000)
