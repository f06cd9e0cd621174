import unittest
from typing import Any

from gristmill import Message
from gristmill.testing import Delivery
from orders import handle

MILL = {"sku": "mill", "quantity": 2, "unit_price_cents": 1250}


def order(attempt: int = 1, **change: Any) -> Message:
    sack = {"sku": "sack", "quantity": 1, "unit_price_cents": 5}
    plain = {"id": "o-1", "customer": "ada", "currency": "EUR", "lines": [MILL, sack]}
    return Message.of_json({**plain, **change}, attempt=attempt)


class Orders(unittest.TestCase):
    def test_an_order_becomes_an_invoice_a_notification_and_a_total(self) -> None:
        host = Delivery().allow("invoices").allow("notifications")
        for expected in (1, 2):
            self.assertTrue(host.run(handle, order()).ok)
            self.assertEqual(host.counter("customer/ada/orders"), expected)
            self.assertEqual(host.counter("customer/ada/cents"), expected * 2505)
        invoice = host.sent("invoices")[0]
        self.assertEqual(invoice.group, "ada")
        self.assertEqual(invoice.json(), {"order": "o-1", "customer": "ada", "cents": 2505, "currency": "EUR"})
        notification = {"customer": "ada", "text": "Order o-1: 25.05 EUR"}
        self.assertEqual(host.sent("notifications")[0].json(), notification)

    def test_an_order_that_cannot_be_right_is_rejected_and_leaves_no_trace(self) -> None:
        for message, expected in [
            (Message.of_text('{"id":'), "not JSON"),
            (Message.of_text("[]"), "not an order"),
            (order(customer=None), "customer"),
            (order(lines=[]), "no lines"),
            (order(lines=[{**MILL, "quantity": 0}]), "line mill: 0 pieces"),
            (order(lines=[{**MILL, "quantity": -3}]), "lines is missing or wrong"),
            (order(lines=[{**MILL, "unit_price_cents": -5}]), "at -5 cents"),
            (order(lines=[{**MILL, "unit_price_cents": 2**63 - 1}]), "too large"),
            (order(currency="XAU"), 'unknown currency "XAU"'),
        ]:
            with self.subTest(expected):
                host = Delivery()
                outcome = host.run(handle, message)
                self.assertEqual(outcome.kind, "reject")
                self.assertIn(expected, outcome.reason)
                self.assertEqual((host.sent(), host.keys()), ([], []))

    def test_a_gateway_that_is_down_is_a_retry_and_the_third_attempt_counts_once(self) -> None:
        host = Delivery()
        for attempt in (1, 2):
            self.assertEqual(host.run(handle, order(attempt, flaky=2)).kind, "retry")
        self.assertTrue(host.run(handle, order(3, flaky=2)).ok)
        self.assertEqual(host.counter("customer/ada/orders"), 1)


if __name__ == "__main__":
    unittest.main()
