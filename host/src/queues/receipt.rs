//! Receipts: what a pull consumer shows as the proof of its lease.
//!
//! A receipt has the fence of the lease, the id of the message and the number of the attempt, under a
//! seal that also covers the name of the queue. Only the store that gave it out can seal one, so nobody
//! settles what was not given to them; whether the lease still holds is for the fence to say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gristmill_queue::{Fence, MessageId, QueueName};
use gristmill_store::Received;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The form of receipts. A store that knows another refuses them.
const VERSION: u8 = 1;
/// Bytes of what is sealed: the version, boot and lease of the fence, the id, the attempt.
const SEALED: usize = 1 + 8 + 8 + 16 + 4;
/// Bytes of a seal.
const SEAL: usize = 32;
/// Characters of a receipt.
pub const RECEIPT_CHARACTERS: usize = (SEALED + SEAL) * 4 / 3;

/// What stands in a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The lease.
    pub fence: Fence,
    /// The message.
    pub id: MessageId,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// A text that is no receipt of this store for this queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the receipt is not one that this host gave out for this queue: send it back as it was received, to the queue that it came from"
)]
pub struct InvalidReceipt;

impl Receipt {
    /// The receipt of a message that was just received.
    #[must_use]
    pub fn of(received: &Received) -> Self {
        Receipt {
            fence: received.fence,
            id: received.message.id,
            attempt: received.attempt,
        }
    }

    /// The text that is given out, in URL-safe Base64.
    #[must_use]
    pub fn issue(&self, key: &[u8; 32], queue: &QueueName) -> String {
        let mut bytes = Vec::with_capacity(SEALED + SEAL);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.fence.boot.to_be_bytes());
        bytes.extend_from_slice(&self.fence.lease.to_be_bytes());
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.extend_from_slice(&self.attempt.to_be_bytes());
        let seal = sealing(key, queue, &bytes).finalize().into_bytes();
        bytes.extend_from_slice(&seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What stands in a receipt of that queue. The seal is compared in constant time.
    ///
    /// # Errors
    /// When this store did not give it out for that queue.
    pub fn read(key: &[u8; 32], queue: &QueueName, text: &str) -> Result<Self, InvalidReceipt> {
        if text.len() != RECEIPT_CHARACTERS {
            return Err(InvalidReceipt);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidReceipt)?;
        let (sealed, seal) = bytes.split_at_checked(SEALED).ok_or(InvalidReceipt)?;
        sealing(key, queue, sealed)
            .verify_slice(seal)
            .map_err(|_| InvalidReceipt)?;
        let (version, rest) = sealed.split_first().ok_or(InvalidReceipt)?;
        let (boot, rest) = rest.split_first_chunk().ok_or(InvalidReceipt)?;
        let (lease, rest) = rest.split_first_chunk().ok_or(InvalidReceipt)?;
        let (id, rest) = rest.split_first_chunk().ok_or(InvalidReceipt)?;
        let attempt = rest.first_chunk().ok_or(InvalidReceipt)?;
        if *version != VERSION {
            return Err(InvalidReceipt);
        }
        let id = MessageId::from_bytes(*id);
        Ok(Receipt {
            fence: Fence {
                boot: u64::from_be_bytes(*boot),
                lease: u64::from_be_bytes(*lease),
                sequence: id.sequence(),
            },
            id,
            attempt: u32::from_be_bytes(*attempt),
        })
    }
}

/// The seal of these bytes for a queue, whose name ends where its length says.
fn sealing(key: &[u8; 32], queue: &QueueName, sealed: &[u8]) -> Hmac<Sha256> {
    // A key that is shorter than a block counts as one with zeros behind it.
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut sealing = Hmac::<Sha256>::new(&block.into());
    let name = queue.as_str().as_bytes();
    sealing.update(&(name.len() as u64).to_be_bytes());
    sealing.update(name);
    sealing.update(sealed);
    sealing
}

#[cfg(test)]
mod tests {
    use gristmill_queue::{IdSource, Timestamp};

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn name(queue: &str) -> QueueName {
        QueueName::new(queue).unwrap()
    }

    fn receipt(sequence: u64) -> Receipt {
        let id = IdSource::new(sequence, 3).mint(Timestamp::from_unix_ms(1_763_640_000_000));
        Receipt {
            fence: Fence {
                boot: 2,
                lease: sequence * 3,
                sequence,
            },
            id,
            attempt: 4,
        }
    }

    #[test]
    fn a_receipt_reads_back_under_its_key_and_queue_only() {
        let text = receipt(9).issue(&KEY, &name("orders"));
        assert_eq!(text.len(), RECEIPT_CHARACTERS);
        let read = |key, queue, text: &str| Receipt::read(key, &name(queue), text);
        assert_eq!(read(&KEY, "orders", &text), Ok(receipt(9)));
        assert_eq!(read(&KEY, "invoices", &text), Err(InvalidReceipt));
        assert_eq!(read(&[8; 32], "orders", &text), Err(InvalidReceipt));
        for other in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            &text.replace(char::is_alphanumeric, "ä"),
            &text.replace(|_| true, "="),
        ] {
            assert_eq!(read(&KEY, "orders", other), Err(InvalidReceipt), "{other}");
        }
    }

    #[test]
    fn of_ten_thousand_receipts_with_a_flipped_bit_none_is_taken() {
        let (mut tried, mut taken) = (0, 0);
        for sequence in 1.. {
            let text = receipt(sequence).issue(&KEY, &name("orders"));
            let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let flipped = URL_SAFE_NO_PAD.encode(flipped);
                taken += u32::from(Receipt::read(&KEY, &name("orders"), &flipped).is_ok());
                tried += 1;
            }
            // The text itself, too, in whatever it becomes.
            for at in 0..text.len() {
                let mut flipped = text.clone().into_bytes();
                flipped[at] ^= 1;
                let flipped = String::from_utf8(flipped).unwrap();
                taken += u32::from(Receipt::read(&KEY, &name("orders"), &flipped).is_ok());
                tried += 1;
            }
            if tried >= 10_000 {
                break;
            }
        }
        assert_eq!(taken, 0, "of {tried}");
    }
}
