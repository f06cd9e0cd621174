// The example of ordinary work, in TypeScript: an order becomes an invoice and a notification, and the totals
// of the customer are kept. All of it counts together with the ack, or not at all.
//
// An order that cannot be right is rejected; trouble that may pass, here a payment gateway that is down at
// first, is a retry. `CURRENCIES` in the environment names the currencies taken.
import { reject, send, state, type Message } from "gristmill";

interface Line {
  sku: string;
  quantity: number;
  unit_price_cents: number;
}

interface Order {
  id: string;
  customer: string;
  currency: string;
  lines: Line[];
  /** For demonstrations: so many attempts fail before the gateway answers. */
  flaky?: number;
}

const CURRENCIES = "EUR USD GBP CHF";

export function handle(message: Message): void {
  const order = read(message);
  const cents = total(order);
  charge(order, message.attempt);

  const { id, customer, currency } = order;
  state.add(`customer/${customer}/orders`, 1);
  state.add(`customer/${customer}/cents`, cents);

  send("invoices", { order: id, customer, cents, currency }, { group: customer });
  const text = `Order ${id}: ${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")} ${currency}`;
  send("notifications", { customer, text });
  console.log(text);
}

/** The order in the message, if there is one. */
function read(message: Message): Order {
  const order = message.json<Partial<Order> | null>();
  for (const [field, is] of Object.entries(FIELDS)) {
    if (!is(order?.[field as keyof Order])) {
      throw reject(`the body is not an order: ${field} is missing or wrong`);
    }
  }
  return order as Order;
}

const isText = (value: unknown): value is string => typeof value === "string";
const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
const isLine = (line: Partial<Line> | null): line is Line =>
  isText(line?.sku) && isCount(line.quantity) && Number.isInteger(line.unit_price_cents);

const FIELDS: Record<keyof Order, (value: unknown) => boolean> = {
  id: isText,
  customer: isText,
  currency: isText,
  lines: (lines) => Array.isArray(lines) && lines.every(isLine),
  flaky: (flaky) => flaky === undefined || isCount(flaky),
};

/** What the order costs, if it can be right at all. */
function total({ currency, lines }: Order): number {
  const known = process.env.CURRENCIES ?? CURRENCIES;
  if (!known.split(/\s+/).includes(currency)) {
    throw reject(`unknown currency ${JSON.stringify(currency)}: use one of ${known}`);
  }
  if (lines.length === 0) throw reject("the order has no lines");
  let cents = 0;
  for (const { sku, quantity, unit_price_cents: price } of lines) {
    if (quantity === 0 || price < 0) throw reject(`line ${sku}: ${quantity} pieces at ${price} cents`);
    cents += quantity * price;
    if (!Number.isSafeInteger(cents)) throw reject("the total is too large");
  }
  return cents;
}

/** Stands for a call to a payment gateway that is down at first. */
function charge({ id, flaky = 0 }: Order, attempt: number): void {
  if (attempt <= flaky) throw new Error(`payment gateway: 503 Service Unavailable for order ${id}`);
}
