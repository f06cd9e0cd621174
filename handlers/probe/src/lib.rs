//! A fixture: it shows what a language does with a message. Each language that has an SDK has a probe like
//! this one, and the suite in `tests/tests/conformance.rs` compares them.
//!
//! The type of the message says what to do. `fail`: the ordinary error of the language. `crash`: what it
//! does with a mistake that nobody handles. Any other: the message goes to `echoes` as it came, body,
//! content type, attributes, group and correlation id.

use gristmill_sdk::prelude::*;

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    match message.message_type.as_deref() {
        Some("fail") => Err(std::io::Error::other("the probe fails, as it was asked to"))?,
        Some("crash") => {
            let empty: Vec<u8> = Vec::with_capacity(message.body.len());
            println!("{}", empty[message.body.len()]);
        }
        _ => {
            let mut echo = Outgoing::bytes(message.body);
            echo.content_type = message.content_type;
            echo.attributes = message.attributes;
            echo.group = message.group;
            echo.correlation_id = message.correlation_id;
            echo.send_to("echoes")?;
        }
    }
    Ok(())
}
