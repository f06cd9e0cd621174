"""Sending messages with the ack of the delivery."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from gristmill.duration import Duration, milliseconds
from gristmill.host import IN_COMPONENT, host, tag_of
from gristmill.message import Message

if IN_COMPONENT:
    try:
        from wit_world.imports.producer import Outgoing  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        Outgoing = None
else:

    @dataclass(frozen=True)
    class Outgoing:  # type: ignore[no-redef]
        """What is sent, as the interface has it."""

        body: bytes
        content_type: str | None
        attributes: list[tuple[str, str]]
        group: str | None
        correlation_id: str | None
        reply_to: str | None
        message_type: str | None
        schema_version: str | None
        priority: int | None
        dedup_id: str | None
        delay: int | None
        ttl: int | None


class SendError(Exception):
    """Why a message cannot be sent. Not caught, it becomes a retry: what is missing is cured in the configuration."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        #: "not-permitted", "no-recipient", "too-large", "too-many" or "invalid".
        self.code = code


def send(
    queue: str,
    value: Any,
    *,
    content_type: str | None = None,
    attributes: Mapping[str, str] | None = None,
    group: str | None = None,
    correlation_id: str | None = None,
    reply_to: str | None = None,
    type: str | None = None,
    schema_version: str | None = None,
    priority: int | None = None,
    dedup_id: str | None = None,
    delay: Duration | None = None,
    ttl: Duration | None = None,
) -> str:
    """Sends a message to a queue or topic with the ack of this delivery, or not at all; returns its id.

    Text is sent as text, bytes as they are, any other value as JSON. `delay` holds it back for so long after
    the ack, `ttl` lets it expire; both are seconds or a `timedelta`.
    """
    fields = {k: v for k, v in locals().items() if k not in ("queue", "value")}
    outgoing = _outgoing(value, **fields)
    try:
        return str(host("producer").send(queue, outgoing))
    except Exception as error:
        raise _send_error(error, queue) from None


def reply(
    message: Message,
    value: Any,
    *,
    content_type: str | None = None,
    attributes: Mapping[str, str] | None = None,
    correlation_id: str | None = None,
    type: str | None = None,
    schema_version: str | None = None,
    priority: int | None = None,
    delay: Duration | None = None,
    ttl: Duration | None = None,
) -> str:
    """Answers to the queue that the sender of `message` named, tied to it; otherwise as `send`."""
    fields = {k: v for k, v in locals().items() if k not in ("message", "value")}
    outgoing = _outgoing(value, **fields)
    try:
        return str(host("producer").reply(message.id, outgoing))
    except Exception as error:
        raise _send_error(error, "") from None


def _outgoing(value: Any, content_type: str | None, attributes: Mapping[str, str] | None, **fields: Any) -> Any:
    if isinstance(value, str):
        body, default = value.encode(), "text/plain; charset=utf-8"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        body, default = bytes(value), None
    else:
        body, default = json.dumps(value, ensure_ascii=False).encode(), "application/json"
    duration = {
        name: None if fields.get(name) is None else milliseconds(fields[name], name) for name in ("delay", "ttl")
    }
    return Outgoing(
        body=body,
        content_type=content_type or default,
        attributes=[(name, str(value)) for name, value in (attributes or {}).items()],
        group=fields.get("group"),
        correlation_id=fields.get("correlation_id"),
        reply_to=fields.get("reply_to"),
        message_type=fields.get("type"),
        schema_version=fields.get("schema_version"),
        priority=fields.get("priority"),
        dedup_id=fields.get("dedup_id"),
        **duration,
    )


def _send_error(error: Exception, queue: str) -> SendError:
    code, value = tag_of(error)
    texts = {
        "not-permitted": (
            f'cannot send to "{queue}": there is no such queue, or this handler may not send to it; grant it in '
            "the configuration of the handler"
            if queue
            else "this handler may not reply: allow it in the configuration of the handler"
        ),
        "no-recipient": (
            "cannot reply: the sender named no queue for an answer, or the message is not the one in hand"
        ),
        "too-large": f"the body is too large to send: the queue takes at most {value} bytes",
        "too-many": (
            "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration of "
            "the handler, or leave the rest to a message sent to its own queue"
        ),
    }
    return SendError(code, texts.get(code, f"the message cannot be sent: {value}"))
