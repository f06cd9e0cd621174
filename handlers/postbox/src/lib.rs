//! A handler of the draft of `wasi:messaging`, which does what the body of its message asks for.
//!
//! | body | what it does |
//! |---|---|
//! | `ok` | nothing |
//! | `fail TEXT` | returns an error |
//! | `send TOPIC TEXT` | sends the text there, with the metadata that it was given |
//! | `reply TEXT` | answers to the message |
//! | `request TOPIC TEXT` | asks there, and waits |
//! | `metadata TOPIC` | sends what it knows of the message there, one a line |
//! | `hoard` | makes messages, and keeps them |

#![cfg(target_family = "wasm")]
#![expect(unsafe_code, missing_docs, reason = "bindings that are generated")]

wit_bindgen::generate!({
    path: "../../host/src/runtime/forms/messaging.wit",
    world: "messaging-request-reply",
    generate_all,
});

use exports::wasi::messaging::incoming_handler::Guest;
use wasi::messaging::types::{Client, Error, Message};
use wasi::messaging::{producer, request_reply};

struct Postbox;

export!(Postbox);

impl Guest for Postbox {
    fn handle(message: Message) -> Result<(), Error> {
        let body = message.data();
        let text = String::from_utf8_lossy(&body);
        let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let (topic, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let client = Client::connect("here")?;
        match verb {
            "ok" => Ok(()),
            "fail" => Err(Error::Other(rest.to_owned())),
            "send" => producer::send(&client, topic, letter(text, &message)),
            "reply" => request_reply::reply(&message, letter(rest, &message)),
            "request" => {
                let asked = letter(text, &message);
                request_reply::request(&client, topic, &asked, None).map(drop)
            }
            "metadata" => producer::send(&client, topic, Message::new(known(&message).as_bytes())),
            "hoard" => {
                let kept: Vec<Message> = (0..64).map(|_| Message::new(&[0; 1024 * 1024])).collect();
                Err(Error::Other(format!("{} messages", kept.len())))
            }
            other => Err(Error::Other(format!("there is no verb {other:?}"))),
        }
    }
}

fn letter(text: &str, received: &Message) -> Message {
    let letter = Message::new(text.as_bytes());
    letter.set_content_type("text/plain");
    letter.set_metadata(&received.metadata().unwrap_or_default());
    letter.remove_metadata("gristmill-reply-to");
    letter.add_metadata("stamp", "paid");
    letter
}

fn known(message: &Message) -> String {
    let mut known = format!("topic: {}\n", message.topic().unwrap_or_default());
    for (name, value) in message.metadata().unwrap_or_default() {
        known.push_str(&format!("{name}: {value}\n"));
    }
    known
}
