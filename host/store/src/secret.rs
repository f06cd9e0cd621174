//! The secret under which receipts are sealed, which pull consumers hold as proof of their leases.

use redb::ReadableTable;

/// The rows of `meta` that have the secret of receipts, each eight bytes of it.
const RECEIPT_KEY: [&str; 4] = [
    "receipt-key-1",
    "receipt-key-2",
    "receipt-key-3",
    "receipt-key-4",
];

/// The secret under which receipts are sealed. It is drawn if it is not there, or not whole.
pub(crate) fn receipt_key(
    meta: &mut redb::Table<'_, &'static str, u64>,
) -> Result<[u8; 32], redb::Error> {
    let mut key = [0; 32];
    let mut whole = true;
    for (name, word) in RECEIPT_KEY.iter().zip(key.chunks_exact_mut(8)) {
        match meta.get(name)? {
            Some(value) => word.copy_from_slice(&value.value().to_le_bytes()),
            None => whole = false,
        }
    }
    if whole {
        return Ok(key);
    }
    getrandom::fill(&mut key).map_err(|error| {
        redb::Error::Io(std::io::Error::other(format!("no randomness: {error}")))
    })?;
    for (name, word) in RECEIPT_KEY.iter().zip(key.chunks_exact(8)) {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        meta.insert(name, u64::from_le_bytes(bytes))?;
    }
    Ok(key)
}
