//! The row of a lease that a pull consumer holds: written when it is granted or extended, removed when it
//! ends. So it outlives the host.

use gristmill_queue::board::PullTerms;
use gristmill_queue::{Fence, MessageId, Timestamp};

use crate::check;
use crate::tlv::{self, Fields, Malformed, Writer};

mod tag {
    pub const BOOT: u8 = 1;
    pub const LEASE: u8 = 2;
    pub const ID: u8 = 3;
    pub const GRANTED_AT: u8 = 4;
    pub const ENDS_AT: u8 = 5;
}

/// Writes the row of a lease.
pub(crate) fn encode(fence: Fence, terms: &PullTerms) -> Vec<u8> {
    let mut row = Vec::with_capacity(64);
    let mut to = Writer(&mut row);
    to.number(tag::BOOT, fence.boot);
    to.number(tag::LEASE, fence.lease);
    to.bytes(tag::ID, &terms.id.to_bytes());
    to.number(tag::GRANTED_AT, terms.granted_at.unix_ms());
    to.number(tag::ENDS_AT, terms.ends_at.unix_ms());
    check::seal(fence.sequence, &mut row);
    row
}

/// Reads and verifies the row that stands under `sequence`.
pub(crate) fn decode(sequence: u64, row: &[u8]) -> Result<(Fence, PullTerms), Malformed> {
    let (mut boot, mut lease, mut id, mut granted_at, mut ends_at) = (None, None, None, None, None);
    for field in Fields(check::open(sequence, row)?) {
        let (tag, value) = field?;
        match tag {
            tag::BOOT => boot = Some(tlv::number(value)?),
            tag::LEASE => lease = Some(tlv::number(value)?),
            tag::ID => id = Some(value.try_into().map_err(|_| Malformed)?),
            tag::GRANTED_AT => granted_at = Some(tlv::number(value)?),
            tag::ENDS_AT => ends_at = Some(tlv::number(value)?),
            _ => {}
        }
    }
    let fence = Fence {
        boot: boot.ok_or(Malformed)?,
        lease: lease.ok_or(Malformed)?,
        sequence,
    };
    let terms = PullTerms {
        id: MessageId::from_bytes(id.ok_or(Malformed)?),
        granted_at: Timestamp::from_unix_ms(granted_at.ok_or(Malformed)?),
        ends_at: Timestamp::from_unix_ms(ends_at.ok_or(Malformed)?),
    };
    if terms.id.sequence() == sequence {
        Ok((fence, terms))
    } else {
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests {
    use gristmill_queue::IdSource;

    use super::*;

    #[test]
    fn a_lease_reads_back_under_its_number_only_and_damage_is_found() {
        let id = IdSource::new(9, 1).mint(Timestamp::from_unix_ms(7));
        let fence = Fence {
            boot: 3,
            lease: u64::MAX,
            sequence: 9,
        };
        let terms = PullTerms {
            id,
            granted_at: Timestamp::from_unix_ms(1_763_640_000_000),
            ends_at: Timestamp::from_unix_ms(1_763_640_030_000),
        };
        let row = encode(fence, &terms);
        assert_eq!(decode(9, &row), Ok((fence, terms)));
        assert_eq!(decode(8, &row), Err(Malformed));
        for i in 0..row.len() {
            let mut damaged = row.clone();
            damaged[i] ^= 4;
            assert_eq!(decode(9, &damaged), Err(Malformed), "byte {i}");
            assert_eq!(decode(9, &row[..i]), Err(Malformed), "cut at {i}");
        }
    }
}
