//! Adds up a bank statement of any size, line by line: `account,cents` each.
//!
//! The body may be larger than the handler's memory: it is read piece by piece, and the sums are all
//! that is held. They go to `tallied`, one message for each statement.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::BufRead;

use gristmill_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// The most accounts of one statement.
const MAX_ACCOUNTS: usize = 10_000;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    bytes: u64,
    lines: u64,
    cents: BTreeMap<String, i64>,
}

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    let statement = message.reader()?;
    let mut tally = Tally {
        bytes: statement.size(),
        lines: 0,
        cents: BTreeMap::new(),
    };
    for line in statement.lines() {
        let line = line?;
        tally.lines += 1;
        let other = || Failure::reject(format!("line {} is not `account,cents`", tally.lines));
        let (account, cents) = line.split_once(',').ok_or_else(other)?;
        let cents: i64 = cents.parse().map_err(|_| other())?;
        let is_full = tally.cents.len() == MAX_ACCOUNTS;
        let sum = match tally.cents.entry(account.to_owned()) {
            Entry::Vacant(_) if is_full => {
                return Err(Failure::reject("the statement has too many accounts"));
            }
            entry => entry.or_default(),
        };
        *sum = sum.checked_add(cents).or_reject("a sum is too large")?;
    }
    send_json("tallied", &tally)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_sdk::testing::Delivery;

    #[test]
    fn a_statement_is_added_up_however_large_it_is() {
        let lines: String = (0..50_000)
            .map(|n| format!("{},{n}\n", if n % 2 == 0 { "even" } else { "odd" }))
            .collect();
        let size = lines.len() as u64;
        let mut delivery = Delivery::new();
        let delivered = delivery.run(handle, Message::with_large_body(lines));
        assert_eq!(delivered, Ok(()));
        let tally: Tally = delivery.sent()[0].json();
        let expected = Tally {
            bytes: size,
            lines: 50_000,
            cents: [("even", 624_975_000), ("odd", 625_000_000)]
                .map(|(account, cents)| (account.to_owned(), cents))
                .into(),
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for text in ["a,1\nb", "a,1\nb,x"] {
            let failure = Delivery::new().run(handle, Message::with_text(text));
            assert_eq!(
                failure,
                Err(Failure::reject("line 2 is not `account,cents`"))
            );
        }
    }
}
