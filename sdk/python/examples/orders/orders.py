"""An example of ordinary work: an order becomes an invoice and a notification, and the totals of the customer
are kept. All of it counts together with the ack, or not at all.

An order that cannot be right is rejected; trouble that may pass, here a payment gateway that is down at first,
is a retry. `CURRENCIES` in the environment names the currencies taken.
"""

import os
from typing import Any

from gristmill import Message, Reject, handler, send, state

CURRENCIES = "EUR USD GBP CHF"


@handler
def handle(message: Message) -> None:
    order = read(message)
    cents = total(order)
    charge(order, message.attempt)

    id, customer, currency = order["id"], order["customer"], order["currency"]
    state.add(f"customer/{customer}/orders", 1)
    state.add(f"customer/{customer}/cents", cents)

    invoice = {"order": id, "customer": customer, "cents": cents, "currency": currency}
    send("invoices", invoice, group=customer)
    text = f"Order {id}: {cents // 100}.{cents % 100:02} {currency}"
    send("notifications", {"customer": customer, "text": text})
    print(text)


def read(message: Message) -> dict[str, Any]:
    """The order in the message, if there is one."""
    order = message.json()
    if not isinstance(order, dict):
        raise Reject("the body is not an order: it is no object")
    order.setdefault("flaky", 0)
    for name, is_right in FIELDS.items():
        if not is_right(order.get(name)):
            raise Reject(f"the body is not an order: {name} is missing or wrong")
    return order


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_count(value: Any) -> bool:
    return is_whole(value) and 0 <= value < 2**32


def is_line(line: Any) -> bool:
    return (
        isinstance(line, dict)
        and is_text(line.get("sku"))
        and is_count(line.get("quantity"))
        and is_whole(line.get("unit_price_cents"))
    )


FIELDS = {
    "id": is_text,
    "customer": is_text,
    "currency": is_text,
    "lines": lambda lines: isinstance(lines, list) and all(map(is_line, lines)),
    "flaky": is_count,
}


def total(order: dict[str, Any]) -> int:
    """What the order costs, if it can be right at all."""
    known, currency = os.environ.get("CURRENCIES", CURRENCIES), order["currency"]
    if currency not in known.split():
        raise Reject(f'unknown currency "{currency}": use one of {known}')
    if not order["lines"]:
        raise Reject("the order has no lines")
    cents = 0
    for line in order["lines"]:
        sku, pieces, price = line["sku"], line["quantity"], line["unit_price_cents"]
        if pieces == 0 or price < 0:
            raise Reject(f"line {sku}: {pieces} pieces at {price} cents")
        cents += pieces * price
        if cents >= 2**63:
            raise Reject("the total is too large")
    return cents


def charge(order: dict[str, Any], attempt: int) -> None:
    """Stands for a call to a payment gateway that is down at first."""
    if attempt <= order["flaky"]:
        raise ConnectionError(f"payment gateway: 503 Service Unavailable for order {order['id']}")
