//! A handler of ordinary weight, for benchmarks: it reads a small order and sends its sum to `out`.

use gristmill_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Order<'a> {
    id: &'a str,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    quantity: u32,
    unit_price_cents: u64,
}

#[derive(Serialize)]
struct Sum<'a> {
    order: &'a str,
    cents: u64,
}

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    let order: Order = message.json()?;
    let cents = order.lines.iter().try_fold(0u64, |sum, line| {
        let price = line.unit_price_cents.checked_mul(line.quantity.into())?;
        sum.checked_add(price)
    });
    let cents = cents.or_reject("the sum of the order is too large")?;
    let id = order.id;
    send_json("out", &Sum { order: id, cents })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::testing::Delivery;

    #[test]
    fn it_sends_the_sum() {
        let order = json!({ "id": "o-1", "lines": [
            { "sku": "a", "quantity": 2, "unit_price_cents": 150 },
            { "sku": "b", "quantity": 1, "unit_price_cents": 99 },
        ] });
        let mut delivery = Delivery::new();
        delivery.run(handle, Message::with_json(&order)).unwrap();
        assert_eq!(delivery.sent()[0].text(), r#"{"order":"o-1","cents":399}"#);
    }

    #[test]
    fn a_sum_that_cannot_be_told_is_rejected() {
        let line = json!({ "quantity": 2, "unit_price_cents": u64::MAX });
        let order = json!({ "id": "o-1", "lines": [line] });
        let result = Delivery::new().run(handle, Message::with_json(&order));
        assert!(matches!(result, Err(Failure::Reject { .. })), "{result:?}");
    }
}
