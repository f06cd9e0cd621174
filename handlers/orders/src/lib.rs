//! An example of ordinary work: an order becomes an invoice and a notification, and the totals of
//! the customer are kept.
//!
//! All of it counts together with the ack, or not at all. An order that cannot be right is
//! rejected; trouble that may pass, here a payment gateway that is down at first, is a retry.
//! `CURRENCIES` in the environment names the currencies taken.

use gristmill_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Order {
    id: String,
    customer: String,
    currency: String,
    lines: Vec<Line>,
    /// For demonstrations: so many attempts fail before the gateway answers.
    #[serde(default)]
    flaky: u32,
}

#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: u32,
    unit_price_cents: i64,
}

const CURRENCIES: &str = "EUR USD GBP CHF";

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    let order: Order = message.json()?;
    let cents = total(&order)?;
    charge(&order, message.attempt)?;

    let customer = &order.customer;
    state::add(&format!("customer/{customer}/orders"), 1)?;
    state::add(&format!("customer/{customer}/cents"), cents)?;

    let (id, currency) = (&order.id, &order.currency);
    let invoice =
        json!({ "order": id, "customer": customer, "cents": cents, "currency": currency });
    Outgoing::from(invoice)
        .group(customer)
        .send_to("invoices")?;
    let text = format!("Order {id}: {}.{:02} {currency}", cents / 100, cents % 100);
    send(
        "notifications",
        json!({ "customer": customer, "text": text }),
    )?;
    println!("{text}");
    Ok(())
}

/// What the order costs, if it can be right at all.
fn total(order: &Order) -> Result<i64, Failure> {
    let known = std::env::var("CURRENCIES").unwrap_or_else(|_| CURRENCIES.to_owned());
    if !known
        .split_whitespace()
        .any(|known| known == order.currency)
    {
        let currency = &order.currency;
        return Err(Failure::reject(format!(
            "unknown currency {currency:?}: use one of {known}"
        )));
    }
    if order.lines.is_empty() {
        return Err(Failure::reject("the order has no lines"));
    }
    let mut cents = 0i64;
    for line in &order.lines {
        let (sku, pieces, price) = (&line.sku, line.quantity, line.unit_price_cents);
        if pieces == 0 || price < 0 {
            let problem = format!("line {sku}: {pieces} pieces at {price} cents");
            return Err(Failure::reject(problem));
        }
        let sum = price.checked_mul(i64::from(pieces));
        let sum = sum.and_then(|sum| cents.checked_add(sum));
        cents = sum.or_reject("the total is too large")?;
    }
    Ok(cents)
}

/// Stands for a call to a payment gateway that is down at first.
fn charge(order: &Order, attempt: u32) -> Result<(), Failure> {
    if attempt > order.flaky {
        return Ok(());
    }
    let id = &order.id;
    Err(Failure::retry(format!(
        "payment gateway: 503 Service Unavailable for order {id}"
    )))
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
