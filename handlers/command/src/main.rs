//! A program that is a handler, and knows nothing of the host: it reads an order from its standard
//! input, writes an invoice to its standard output, and says by its exit status how that went.
//!
//! Built for wasm32-wasip1 it is a core module, for wasm32-wasip2 a component. It runs natively, too:
//! `echo '{"id":"a","cents":900}' | cargo run -p command`.

use std::io::Read;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// The message is wrong, and will be the next time.
const DATA_ERROR: u8 = 65;
/// It may work later.
const TRY_LATER: u8 = 75;

#[derive(Deserialize)]
struct Order {
    id: String,
    cents: u64,
    /// For how many attempts the warehouse cannot be reached.
    #[serde(default)]
    unreachable: u32,
}

#[derive(Serialize)]
struct Invoice<'a> {
    order: &'a str,
    cents: u64,
    tenant: &'a str,
}

fn main() -> ExitCode {
    let mut body = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut body) {
        eprintln!("the message cannot be read: {error}");
        return ExitCode::FAILURE;
    }
    let order: Order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => {
            eprintln!("not an order: {error}");
            return ExitCode::from(DATA_ERROR);
        }
    };
    assert!(order.cents < 1_000_000, "nobody pays {} cents", order.cents);
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let attempt: u32 = variable("GRISTMILL_ATTEMPT").parse().unwrap_or(1);
    if attempt <= order.unreachable {
        eprintln!("the warehouse is not to be reached");
        return ExitCode::from(TRY_LATER);
    }
    let invoice = Invoice {
        order: &order.id,
        cents: order.cents,
        tenant: &variable("GRISTMILL_ATTR_TENANT"),
    };
    match serde_json::to_string(&invoice) {
        Ok(line) => println!("{line}"),
        Err(error) => {
            eprintln!("the invoice cannot be written: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
