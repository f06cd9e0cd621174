//! References to large bodies, as they stand in records and in the table `blob`.

use gristmill_queue::BlobRef;

use crate::check;
use crate::tlv::Malformed;

/// Writes a reference.
pub(crate) fn encode(blob: &BlobRef) -> [u8; 24] {
    let mut bytes = [0; 24];
    for (at, number) in [blob.name, blob.size, blob.checksum]
        .into_iter()
        .enumerate()
    {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// Reads a reference.
pub(crate) fn decode(bytes: &[u8]) -> Result<BlobRef, Malformed> {
    let bytes: &[u8; 24] = bytes.try_into().map_err(|_| Malformed)?;
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
        u64::from_le_bytes(word)
    };
    Ok(BlobRef {
        name: number(0),
        size: number(1),
        checksum: number(2),
    })
}

/// Writes the row of the message of that number in `blob`.
pub(crate) fn encode_row(sequence: u64, blob: &BlobRef) -> Vec<u8> {
    let mut row = encode(blob).to_vec();
    check::seal(sequence, &mut row);
    row
}

/// Reads and verifies such a row.
pub(crate) fn decode_row(sequence: u64, row: &[u8]) -> Result<BlobRef, Malformed> {
    decode(check::open(sequence, row)?)
}
