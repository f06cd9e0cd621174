import assert from "node:assert/strict";
import { test } from "node:test";
import { Delivery } from "gristmill/testing";
import { handle } from "./orders.js";

const order = (change) => ({
  json: {
    id: "o-1", customer: "ada", currency: "EUR",
    lines: [
      { sku: "mill", quantity: 2, unit_price_cents: 1250 },
      { sku: "sack", quantity: 1, unit_price_cents: 5 },
    ],
    ...change,
  },
});
const line = (change) => order({ lines: [{ sku: "mill", quantity: 2, unit_price_cents: 1250, ...change }] });

test("an order becomes an invoice, a notification and a total", () => {
  const host = new Delivery().allow("invoices").allow("notifications");
  for (const expected of [1, 2]) {
    assert.deepEqual(host.run(handle, order()), { kind: "done" });
    assert.equal(host.counter("customer/ada/orders"), expected);
    assert.equal(host.counter("customer/ada/cents"), expected * 2505);
  }
  const [invoice] = host.sent("invoices");
  assert.equal(invoice.group, "ada");
  assert.deepEqual(invoice.json(), { order: "o-1", customer: "ada", cents: 2505, currency: "EUR" });
  assert.deepEqual(host.sent("notifications")[0].json(), { customer: "ada", text: "Order o-1: 25.05 EUR" });
});

test("an order that cannot be right is rejected and leaves no trace", () => {
  for (const [message, expected] of [
    [{ text: '{"id":' }, /not JSON/],
    [{ text: "[]" }, /not an order/],
    [order({ customer: null }), /customer/],
    [order({ lines: [] }), /no lines/],
    [line({ quantity: 0 }), /line mill: 0 pieces/],
    [line({ quantity: -3 }), /lines is missing or wrong/],
    [line({ unit_price_cents: -5 }), /at -5 cents/],
    [line({ unit_price_cents: 9e18 }), /too large/],
    [order({ currency: "XAU" }), /unknown currency "XAU"/],
  ]) {
    const host = new Delivery();
    const { kind, reason } = host.run(handle, message);
    assert.equal(kind, "reject");
    assert.match(reason, expected);
    assert.deepEqual([host.sent(), host.keys()], [[], []]);
  }
});

test("a gateway that is down is a retry, and the third attempt counts once", () => {
  const host = new Delivery();
  for (const attempt of [1, 2]) {
    assert.equal(host.run(handle, { ...order({ flaky: 2 }), attempt }).kind, "retry");
  }
  assert.deepEqual(host.run(handle, { ...order({ flaky: 2 }), attempt: 3 }), { kind: "done" });
  assert.equal(host.counter("customer/ada/orders"), 1);
});
