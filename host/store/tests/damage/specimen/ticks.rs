//! A tick of the crontab, and whether it fires again.

use gristmill_queue::{NewMessage, Timestamp};
use gristmill_store::{AdminError, CronEntry, Fired, Firing, Outgoing, SendError, Stamped, Store};

use super::{QUEUES, START, block_on, name};

/// Declares a crontab entry and does a tick of it; nothing, if the store does not answer.
pub fn tick(store: &Store) -> Option<Result<Vec<Result<Fired, SendError>>, AdminError>> {
    let entry = CronEntry {
        name: "nightly".into(),
        schedule: 7,
    };
    block_on(store.declare_cron(vec![entry.clone()])).ok()?;
    let mut message = NewMessage::with_body("tick");
    // As every tick has one: an old page in place of a newer one has a sound checksum, and takes
    // the mark back. Within the window the message is single all the same.
    message.dedup_id = Some("cron:nightly:1".into());
    let outgoing = Outgoing {
        queue: name(QUEUES[0]),
        message,
    };
    let firing = Firing::Tick {
        entry,
        tick: Timestamp::from_unix_ms(START + 1),
        message: Some(Box::new(Stamped {
            outgoing,
            stamps: Vec::new(),
        })),
    };
    Some(block_on(store.fire(vec![firing])))
}

/// A tick that has fired fires no more, whatever has become of the file.
pub fn fire_again(store: &Store) -> Result<(), String> {
    match tick(store) {
        Some(Ok(fired)) => match fired[0] {
            Ok(Fired::Sent(sent)) if !sent.duplicate => {
                Err(format!("a tick fired twice: {fired:?}"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}
