//! Large bodies: stored before they are sent, and there for exactly as long as their messages.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use gristmill_store::{Found, Outgoing, Staged, Store};

use super::world::World;

/// Small, so that many bodies are large ones.
pub const INLINE: u64 = 12;
const FOLDER: &str = "blobs";

/// Stores the large bodies of a batch. Those that are refused here, for their queue or their size, are
/// left for the store to refuse.
pub fn stage(store: &Store, mut batch: Vec<Outgoing>) -> (Vec<Outgoing>, Vec<Staged>) {
    let mut staged = Vec::new();
    for Outgoing { queue, message } in &mut batch {
        if message.body.len() as u64 <= store.inline_bytes() {
            continue;
        }
        let Ok(mut writer) = store.blob_writer(queue) else {
            continue;
        };
        let (first, rest) = message.body.split_at(7);
        if writer.write(first).is_err() || writer.write(rest).is_err() {
            continue;
        }
        let one = writer.finish().unwrap();
        message.body = Bytes::new();
        message.blob = Some(one.blob());
        staged.push(one);
    }
    (batch, staged)
}

/// The body of a message, wherever it is.
pub fn body_of(message: &gristmill_queue::Message, store: &Store) -> Bytes {
    match message.blob {
        None => message.body.clone(),
        Some(blob) => {
            assert!(message.body.is_empty() && blob.size > store.inline_bytes());
            store.open_blob(blob).unwrap().whole().unwrap()
        }
    }
}

/// The large bodies outlive the host, and with them one that no message has any more, and half of one
/// that was being stored.
pub fn survive(before: &Path, after: &Path) {
    let folder = after.join(FOLDER);
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(before.join(FOLDER)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for orphan in ["00000000fffffffe", "00000000ffffffff"] {
        std::fs::write(folder.join(orphan), "left").unwrap();
    }
}

impl World {
    /// The folder holds the large bodies of what waits, is in flight or is dead, and no others.
    pub fn check_large(&self) {
        let reference = &self.reference;
        let living = reference.messages.values();
        let dead = reference.dead.values().map(|dead| &dead.message);
        let mut live = BTreeSet::new();
        let mut expected = 0;
        for message in living.chain(dead) {
            // The crontab's are short, and kept with their messages, until they are edited.
            let of_cron = message.tick.is_some() && message.causation.is_none();
            if message.body.len() as u64 <= self.rig.store.inline_bytes() || of_cron {
                continue;
            }
            let message = match self.rig.wait(self.rig.store.find(message.id)).unwrap() {
                Found::Waiting { message, .. } | Found::InFlight(message) => message.message,
                Found::Dead(letter) => letter.message,
            };
            expected += usize::from(message.blob.is_some());
            live.extend(message.blob.map(|blob| format!("{:016x}", blob.name)));
        }
        assert_eq!(live.len(), expected, "two messages have one file");
        let folder = self.rig.path().join(FOLDER);
        let there = std::fs::read_dir(folder).unwrap();
        let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let there: BTreeSet<String> = there.collect();
        assert_eq!(there, live, "the files of large bodies");
    }
}
