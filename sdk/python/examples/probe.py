"""A fixture for the suite that compares the languages; handlers/probe says what it has to do.

Any other message is an order, so that one component shows both.
"""

from gristmill import Message, handler, send
from orders.orders import handle as handle_order


@handler
def handle(message: Message) -> None:
    if message.type == "fail":
        raise LookupError("the probe fails, as it was asked to")
    if message.type == "crash":
        return [][len(message.body)]
    if message.type != "echo":
        return handle_order(message)
    send(
        "echoes",
        message.body,
        content_type=message.content_type,
        attributes=message.attributes,
        group=message.group,
        correlation_id=message.correlation_id,
    )
