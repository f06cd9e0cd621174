//! The work that everybody does: an order of 256 bytes, and its sum.
//!
//! `handlers/bench` does the same in the sandbox; here it is for those whose consumers run outside.

use serde::{Deserialize, Serialize};

/// Bytes of a body.
pub const SIZE: usize = 256;

/// An order, as JSON of 256 bytes.
pub fn order(number: usize) -> Vec<u8> {
    let line = r#"{"sku":"A-1","quantity":2,"unit_price_cents":1250}"#;
    let mut order =
        format!(r#"{{"id":"o-{number}","customer":"c-7","lines":[{line},{line},{line}]"#);
    order.push_str(r#","note":""#);
    order.push_str(&"n".repeat(SIZE.saturating_sub(order.len() + 2)));
    order.push_str(r#""}"#);
    order.into_bytes()
}

/// Orders as the body of a request that sends them together.
pub fn batch(orders: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut body = br#"{"messages":["#.to_vec();
    for (at, number) in orders.enumerate() {
        body.extend_from_slice(if at == 0 { b"" } else { b"," });
        body.extend_from_slice(br#"{"content_type":"application/json","body":""#);
        // Nothing else in it has to be escaped.
        for byte in order(number) {
            if byte == b'"' {
                body.push(b'\\');
            }
            body.push(byte);
        }
        body.extend_from_slice(br#""}"#);
    }
    body.extend_from_slice(b"]}");
    body
}

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

/// What is sent on: the number of the order and the sum of its lines. `None` if it is no order.
pub fn sum(order: &[u8]) -> Option<(usize, Vec<u8>)> {
    let order: Order = serde_json::from_slice(order).ok()?;
    let cents = order.lines.iter().try_fold(0u64, |sum, line| {
        let price = line.unit_price_cents.checked_mul(line.quantity.into())?;
        sum.checked_add(price)
    })?;
    let number = number(order.id)?;
    let sum = Sum {
        order: order.id,
        cents,
    };
    Some((number, serde_json::to_vec(&sum).ok()?))
}

/// The number in the name of an order.
pub fn number(id: &str) -> Option<usize> {
    id.strip_prefix("o-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_its_size_and_its_sum() {
        for number in [0, 7, 1_234_567] {
            let order = order(number);
            assert_eq!(order.len(), SIZE);
            let (found, sum) = sum(&order).unwrap();
            assert_eq!(found, number);
            let expected = format!(r#"{{"order":"o-{number}","cents":7500}}"#);
            assert_eq!(String::from_utf8(sum).unwrap(), expected);
        }
        let several: serde_json::Value = serde_json::from_slice(&batch(5..7)).unwrap();
        assert_eq!(
            several["messages"][1]["body"].as_str().unwrap().as_bytes(),
            order(6)
        );
        assert!(sum(b"{}").is_none() && sum(b"no order").is_none());
    }
}
