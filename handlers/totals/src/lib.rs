//! Adds up amounts, batch by batch: one change of the state and one summary for each batch.
//!
//! Taken one by one, a thousand payments would be a thousand summaries. An amount that makes no
//! sense is rejected, and its neighbours count all the same.

use gristmill_sdk::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Payment {
    account: String,
    cents: i64,
}

#[derive(Serialize)]
struct Summary {
    payments: usize,
    cents: i64,
}

#[batch_handler]
fn handle(messages: Vec<Message>) -> Vec<Result<(), Failure>> {
    let mut sum = Summary {
        payments: 0,
        cents: 0,
    };
    let verdicts = messages.iter().map(|m| add(m, &mut sum)).collect();
    let summed = match sum.payments {
        0 => Ok(()),
        _ => send_json("summaries", &sum)
            .map(|_| ())
            .map_err(Failure::from),
    };
    match summed {
        Ok(()) => verdicts,
        // Without its summary none of the batch counts.
        Err(failure) => messages.iter().map(|_| Err(failure.clone())).collect(),
    }
}

fn add(message: &Message, sum: &mut Summary) -> Result<(), Failure> {
    let payment: Payment = message.json()?;
    assert!(payment.account != "poison", "this account traps");
    let cents = sum.cents.checked_add(payment.cents);
    let cents = cents.or_reject("the sum of the batch is too large")?;
    state::add(&format!("cents/{}", payment.account), payment.cents)?;
    sum.cents = cents;
    sum.payments += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::testing::Delivery;

    #[test]
    fn a_batch_becomes_one_summary_and_what_makes_no_sense_is_left_out() {
        let payment = |cents: i64| json!({ "account": "a", "cents": cents });
        let bodies = [
            payment(100),
            json!("nothing"),
            payment(-30),
            payment(i64::MAX),
        ];
        let mut delivery = Delivery::new();
        let verdicts = delivery.run_batch(handle, bodies.map(|body| Message::with_json(&body)));
        let done: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        assert_eq!(done, [true, false, true, false]);
        assert_eq!(delivery.counter("cents/a"), 70);
        assert_eq!(delivery.sent().len(), 1);
        assert_eq!(delivery.sent()[0].text(), r#"{"payments":2,"cents":70}"#);
    }
}
