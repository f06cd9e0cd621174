//! Groups that deliver nothing: halted by a death, or about to die behind one.
//!
//! A row is written in the commit of the death. For a group whose rest dies it is there only if not
//! all of it could die in that commit.

use gristmill_queue::board::{Doomed, QueueId};
use gristmill_queue::{MessageId, Reason, Timestamp};

use crate::check;
use crate::tlv::{self, Fields, Malformed, Writer};

/// A group that waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaltedGroup {
    /// What it goes by in lists: its name, hashed.
    pub hash: u64,
    /// How many of its messages wait.
    pub waiting: u64,
    /// Its name, and why it is halted; none if the record of that is damaged.
    pub halted: Option<Halted>,
}

/// Why a group is halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// Its name.
    pub group: String,
    /// Since when.
    pub since: Timestamp,
    /// The message that died.
    pub died: MessageId,
    /// What it died of.
    pub reason: Reason,
}

/// What is kept of a group that delivers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldGroup {
    pub halted: Option<Halted>,
    pub doom: Option<Doom>,
}

/// What of a group is still to die, and with which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doom {
    pub doomed: Doomed,
    pub died: MessageId,
}

/// The key of a group's row.
pub(crate) type Key = (u32, u64);

mod tag {
    pub const GROUP: u8 = 1;
    pub const SINCE: u8 = 2;
    pub const DIED: u8 = 3;
    pub const REASON: u8 = 4;
    pub const AFTER: u8 = 5;
    pub const BEFORE: u8 = 6;
    pub const DOOMED_BY: u8 = 7;
}

fn check_key((queue, hash): Key) -> u64 {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&queue.to_le_bytes());
    bytes[4..].copy_from_slice(&hash.to_le_bytes());
    check::key(&bytes)
}

/// Writes what is kept of a group.
pub(crate) fn encode(queue: QueueId, hash: u64, held: &HeldGroup) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut to = Writer(&mut bytes);
    if let Some(halted) = &held.halted {
        to.text(tag::GROUP, Some(&halted.group));
        to.number(tag::SINCE, halted.since.unix_ms());
        to.bytes(tag::DIED, &halted.died.to_bytes());
        to.text(tag::REASON, Some(halted.reason.as_str()));
    }
    if let Some(doom) = &held.doom {
        to.number(tag::AFTER, doom.doomed.after);
        to.number(tag::BEFORE, doom.doomed.before);
        to.bytes(tag::DOOMED_BY, &doom.died.to_bytes());
    }
    check::seal(check_key((queue.0, hash)), &mut bytes);
    bytes
}

/// Reads and verifies what is kept of the group of that key.
pub(crate) fn decode(key: Key, bytes: &[u8]) -> Result<HeldGroup, Malformed> {
    let (mut group, mut since, mut died, mut reason) = (None, None, None, None);
    let (mut after, mut before, mut doomed_by) = (None, None, None);
    for field in Fields(check::open(check_key(key), bytes)?) {
        let (tag, value) = field?;
        match tag {
            tag::GROUP => group = Some(tlv::text(value)?),
            tag::SINCE => since = Some(Timestamp::from_unix_ms(tlv::number(value)?)),
            tag::DIED => died = Some(id(value)?),
            tag::REASON => reason = Some(Reason::from_code(&tlv::text(value)?).ok_or(Malformed)?),
            tag::AFTER => after = Some(tlv::number(value)?),
            tag::BEFORE => before = Some(tlv::number(value)?),
            tag::DOOMED_BY => doomed_by = Some(id(value)?),
            _ => {}
        }
    }
    let halted = match (group, since, died, reason) {
        (Some(group), Some(since), Some(died), Some(reason)) => Some(Halted {
            group,
            since,
            died,
            reason,
        }),
        (None, None, None, None) => None,
        _ => return Err(Malformed),
    };
    let doom = match (after, before, doomed_by) {
        (Some(after), Some(before), Some(died)) => Some(Doom {
            doomed: Doomed { after, before },
            died,
        }),
        (None, None, None) => None,
        _ => return Err(Malformed),
    };
    Ok(HeldGroup { halted, doom })
}

fn id(value: &[u8]) -> Result<MessageId, Malformed> {
    let bytes = <[u8; 16]>::try_from(value).map_err(|_| Malformed)?;
    Ok(MessageId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_group_reads_back_under_its_key_only_and_damage_is_found() {
        let halted = Halted {
            group: "customer 7".into(),
            since: Timestamp::from_unix_ms(5),
            died: MessageId::from_bytes([3; 16]),
            reason: Reason::Rejected,
        };
        let doom = Doom {
            doomed: Doomed {
                after: 0,
                before: u64::MAX,
            },
            died: MessageId::from_bytes([4; 16]),
        };
        for held in [
            HeldGroup {
                halted: Some(halted.clone()),
                doom: None,
            },
            HeldGroup {
                halted: None,
                doom: Some(doom),
            },
            HeldGroup {
                halted: Some(halted),
                doom: Some(doom),
            },
        ] {
            let bytes = encode(QueueId(2), 9, &held);
            assert_eq!(decode((2, 9), &bytes), Ok(held));
            assert_eq!(decode((1, 9), &bytes), Err(Malformed));
            assert_eq!(decode((2, 8), &bytes), Err(Malformed));
            for i in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[i] ^= 4;
                assert_eq!(decode((2, 9), &damaged), Err(Malformed));
            }
        }
    }
}
