//! A short checksum for rows, since redb does not verify what it reads.
//!
//! It covers the row's key too: a page that was put in another's place is found.

use gristmill_queue::bug::{Bug, is_planted};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::tlv::Malformed;

const BYTES: usize = 4;

/// What a key that is not a number counts as.
pub(crate) fn key(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

fn sum(key: u64, row: &[u8]) -> [u8; BYTES] {
    let hash = xxh3_64_with_seed(row, key).to_le_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Appends the checksum to a row.
pub(crate) fn seal(key: u64, row: &mut Vec<u8>) {
    let sum = sum(key, row);
    row.extend_from_slice(&sum);
}

/// The row without its checksum, if that is right.
pub(crate) fn open(key: u64, sealed: &[u8]) -> Result<&[u8], Malformed> {
    let length = sealed.len().checked_sub(BYTES).ok_or(Malformed)?;
    let (row, found) = sealed.split_at(length);
    if found == sum(key, row) || is_planted(Bug::NotVerified) {
        Ok(row)
    } else {
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_row_is_opened_under_its_key_only_and_whole_only() {
        let mut row = b"row".to_vec();
        seal(7, &mut row);
        assert_eq!(open(7, &row), Ok(b"row".as_slice()));
        assert_eq!(open(8, &row), Err(Malformed));
        for i in 0..row.len() {
            assert_eq!(open(7, &row[..i]), Err(Malformed));
            let mut damaged = row.clone();
            damaged[i] ^= 1;
            assert_eq!(open(7, &damaged), Err(Malformed));
        }
    }
}
