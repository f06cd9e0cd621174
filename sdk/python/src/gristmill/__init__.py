"""Handlers for the Gristmill queue: one function, called once for every message of a queue.

    from gristmill import handler, send, state

    @handler
    def handle(message):
        order = message.json()                        # not JSON: rejected
        state.add("cents", order["cents"])            # kept ...
        send("invoices", {"order": order["id"]})      # ... and sent with the ack, or not at all

A handler that returns is done. One that raises is called again after the back-off of its queue, unless it
raises `Reject`, `RetryAfter` or `Postpone`.
"""

from gristmill import delivery, secrets, transaction
from gristmill.body import BodyError, BodyReader, open_body
from gristmill.entry import handler
from gristmill.failure import Failure, Postpone, Reject, Retry, RetryAfter
from gristmill.message import Message, TraceContext
from gristmill.producer import SendError, reply, send
from gristmill.state import StateError, state

__all__ = [
    "BodyError",
    "BodyReader",
    "Failure",
    "Message",
    "Postpone",
    "Reject",
    "Retry",
    "RetryAfter",
    "SendError",
    "StateError",
    "TraceContext",
    "delivery",
    "handler",
    "open_body",
    "reply",
    "secrets",
    "send",
    "state",
    "transaction",
]
