// An example of ordinary work: an order becomes an invoice and a notification, and the totals of the
// customer are kept.
//
// All of it counts together with the acknowledgement, or not at all. An order that cannot be right is
// rejected; trouble that may pass, here a payment gateway that is down at first, is a retry. CURRENCIES in
// the environment names the currencies taken.

import { environment, handler, inGroup, log, Message, ok, reject, Result, retry, sendJson, state } from "../../gristmill";
import { parse, quote, Value } from "../../gristmill/json";

class Line {
  constructor(public sku: string, public quantity: i64, public unitPriceCents: i64) {}
}

class Order {
  id: string;
  customer: string;
  currency: string;
  lines: Line[] = [];
  /** For demonstrations: so many attempts fail before the gateway answers. */
  flaky: i64 = 0;

  constructor(json: Value) {
    this.id = json.string("id");
    this.customer = json.string("customer");
    this.currency = json.string("currency");
    const lines = json.array("lines");
    for (let i = 0; i < lines.length; i++) {
      const quantity = lines[i].integer64("quantity", 0, u32.MAX_VALUE);
      this.lines.push(new Line(lines[i].string("sku"), quantity, lines[i].integer64("unit_price_cents")));
    }
    if (json.has("flaky")) this.flaky = json.integer64("flaky", 0, u32.MAX_VALUE);
  }
}

let cents: i64 = 0;

/** What the order costs is put to `cents`; the result says why it cannot be right. */
function total(order: Order): string | null {
  const given = environment("CURRENCIES");
  const known = given !== null ? given : "EUR USD GBP CHF";
  if (order.currency.length == 0 || !known.split(" ").includes(order.currency)) {
    return `unknown currency ${quote(order.currency)}: use one of ${known}`;
  }
  if (order.lines.length == 0) return "the order has no lines";
  cents = 0;
  for (let i = 0; i < order.lines.length; i++) {
    const line = order.lines[i];
    const pieces = line.quantity, price = line.unitPriceCents;
    if (pieces == 0 || price < 0) return `line ${line.sku}: ${pieces} pieces at ${price} cents`;
    if (price > (i64.MAX_VALUE - cents) / pieces) return "the total is too large";
    cents += price * pieces;
  }
  return null;
}

/** Stores and sends; says what went wrong. */
function book(order: Order): string | null {
  const customer = quote(order.customer);
  let problem = state.add(`customer/${order.customer}/orders`, 1);
  if (problem !== null) return problem;
  problem = state.add(`customer/${order.customer}/cents`, cents);
  if (problem !== null) return problem;
  const invoice = `{"order":${quote(order.id)},"customer":${customer},"cents":${cents},"currency":${quote(order.currency)}}`;
  problem = sendJson("invoices", invoice, inGroup(order.customer));
  if (problem !== null) return problem;
  const part = (cents % 100).toString().padStart(2, "0");
  const text = `Order ${order.id}: ${cents / 100}.${part} ${order.currency}`;
  problem = sendJson("notifications", `{"customer":${customer},"text":${quote(text)}}`);
  if (problem === null) log(text);
  return problem;
}

handler((message: Message): Result => {
  const json = parse(message.text());
  const order = new Order(json);
  const unread = json.problem;
  if (unread !== null) return reject("the body is not the JSON that this handler reads: " + unread);
  const wrong = total(order);
  if (wrong !== null) return reject(wrong);
  // Stands for a call to a payment gateway that is down at first.
  if (<i64>message.attempt <= order.flaky) {
    return retry("payment gateway: 503 Service Unavailable for order " + order.id);
  }
  const problem = book(order);
  return problem === null ? ok() : retry(problem);
});
