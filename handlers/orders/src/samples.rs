//! The sample orders: where they come from, and what becomes of them.
//!
//! `samples/orders.jsonl` is drawn by [`draw`] from a fixed seed. Most orders are fine, some are
//! wrong in ways that senders get wrong, some need three attempts, and two never succeed.

use std::path::PathBuf;

use gristmill_sdk::prelude::*;
use gristmill_sdk::testing::Delivery;

use super::handle;

const ORDERS: usize = 300;
const MAX_ATTEMPTS: u32 = 10;

/// Attempts that fail first, for an order that is so.
const FLAKY: u32 = 2;
const HOPELESS: u32 = 99;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples/orders.jsonl")
}

/// A small generator of numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 40).unwrap() % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

/// An order on its way to be written; the fields hold JSON, right or wrong.
struct Draft {
    id: String,
    customer: String,
    currency: String,
    lines: Vec<(&'static str, String, String)>,
    flaky: u32,
}

impl Draft {
    fn new(number: usize, dice: &mut Dice) -> Self {
        let goods = [
            ("grist-stone", 18_900),
            ("hopper", 7_450),
            ("sieve-fine", 1_295),
            ("sieve-coarse", 1_195),
            ("rye-25kg", 3_240),
            ("wheat-25kg", 2_980),
            ("sack", 145),
            ("belt", 2_575),
        ];
        let customers = [
            "ada",
            "blaise",
            "charles",
            "emmy",
            "grace",
            "kurt",
            "sofia",
            "srinivasa",
        ];
        let currencies = ["EUR", "EUR", "EUR", "USD", "GBP", "CHF"];
        let lines = (0..=dice.roll(4))
            .map(|_| {
                let (sku, cents) = dice.pick(&goods);
                (sku, (1 + dice.roll(12)).to_string(), cents.to_string())
            })
            .collect();
        Draft {
            id: format!("\"id\":\"o-{number:04}\","),
            customer: format!("\"{}\"", dice.pick(&customers)),
            currency: dice.pick(&currencies).to_owned(),
            lines,
            flaky: match number {
                77 | 203 => HOPELESS,
                _ if number % 20 == 11 => FLAKY,
                _ => 0,
            },
        }
    }

    /// The ways to be wrong, each of which happens once.
    fn spoiled(mut self, way: usize) -> String {
        let (_, quantity, cents) = &mut self.lines[0];
        match way {
            0 => self.lines.clear(),
            1 => *quantity = "0".into(),
            2 => *quantity = "-3".into(),
            3 => *cents = "-1295".into(),
            4 => self.currency = "XAU".into(),
            5 => self.currency = "eur".into(),
            6 => self.customer = "null".into(),
            7 => *quantity = "\"two\"".into(),
            8 => self.id.clear(),
            9 => *cents = "9000000000000000000".into(),
            10 => return self.written()[..40].to_owned(),
            _ => return "id;customer;currency;sku;quantity".to_owned(),
        }
        self.written()
    }

    fn written(&self) -> String {
        let lines: Vec<String> = self
            .lines
            .iter()
            .map(|(sku, quantity, cents)| {
                format!(
                    "{{\"sku\":\"{sku}\",\"quantity\":{quantity},\"unit_price_cents\":{cents}}}"
                )
            })
            .collect();
        let flaky = match self.flaky {
            0 => String::new(),
            attempts => format!(",\"flaky\":{attempts}"),
        };
        format!(
            "{{{}\"customer\":{},\"currency\":\"{}\",\"lines\":[{}]{flaky}}}",
            self.id,
            self.customer,
            self.currency,
            lines.join(",")
        )
    }
}

fn draw() -> String {
    let mut dice = Dice(1854);
    let mut text = String::new();
    for number in 1..=ORDERS {
        let draft = Draft::new(number, &mut dice);
        let line = if number % 25 == 18 {
            draft.spoiled(number / 25)
        } else {
            draft.written()
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[test]
fn the_samples_are_those_that_are_drawn() {
    let there = std::fs::read_to_string(path()).unwrap();
    assert!(
        there == draw(),
        "draw them: cargo test -p orders -- --ignored"
    );
    assert!(there.len() < 200 * 1024);
}

#[test]
#[ignore = "writes into the repository"]
fn draw_the_samples() {
    std::fs::write(path(), draw()).unwrap();
}

#[test]
fn each_sample_ends_as_it_should() {
    let mut delivery = Delivery::new();
    delivery.allow("invoices").allow("notifications");
    let (mut at_once, mut later, mut rejected, mut dead) = (0, 0, Vec::new(), 0);
    for line in draw().lines() {
        let message = |attempt| Message::with_text(line).with_attempt(attempt);
        let end = (1..=MAX_ATTEMPTS)
            .map(|attempt| (attempt, delivery.run(handle, message(attempt))))
            .find(|(_, result)| !matches!(result, Err(Failure::Retry { .. })));
        match end {
            Some((1, Ok(()))) => at_once += 1,
            Some((3, Ok(()))) => later += 1,
            Some((1, Err(failure))) => rejected.push(failure.to_string()),
            None => dead += 1,
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!((at_once, later, rejected.len(), dead), (271, 15, 12, 2));
    rejected.sort();
    rejected.dedup();
    assert_eq!(rejected.len(), 12, "each is wrong in a way of its own");
    assert_eq!(delivery.sent_to("invoices").count(), 286);
    let totals = delivery.keys().filter(|key| key.ends_with("/orders"));
    assert_eq!(totals.map(|key| delivery.counter(key)).sum::<i64>(), 286);
}
