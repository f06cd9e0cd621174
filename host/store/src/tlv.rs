//! The codec of records: fields of tag, length and bytes.
//!
//! A reader skips tags that it does not know, so a record written by a newer minor version can
//! still be read; a writer never changes the meaning of a tag.

/// Appends fields to a record.
pub(crate) struct Writer<'a>(pub &'a mut Vec<u8>);

impl Writer<'_> {
    pub fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        varint(self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub fn text(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.bytes(tag, value.as_bytes());
        }
    }

    pub fn number(&mut self, tag: u8, value: u64) {
        let mut digits = Vec::with_capacity(10);
        varint(&mut digits, value);
        self.bytes(tag, &digits);
    }

    /// A field that consists of fields.
    pub fn nested(&mut self, tag: u8, fill: impl FnOnce(&mut Writer<'_>)) {
        let mut inner = Vec::new();
        fill(&mut Writer(&mut inner));
        self.bytes(tag, &inner);
    }
}

/// A record that is not what its writer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a record, in order.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (&tag, rest) = self.0.split_first().ok_or(Malformed)?;
        let (length, rest) = read_varint(rest)?;
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((tag, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u8, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// The text in a field.
pub(crate) fn text(value: &[u8]) -> Result<String, Malformed> {
    String::from_utf8(value.to_vec()).map_err(|_| Malformed)
}

/// The number in a field.
pub(crate) fn number(value: &[u8]) -> Result<u64, Malformed> {
    match read_varint(value)? {
        (number, []) => Ok(number),
        _ => Err(Malformed),
    }
}

/// The number in a field that has to fit.
pub(crate) fn small<T: TryFrom<u64>>(value: &[u8]) -> Result<T, Malformed> {
    T::try_from(number(value)?).map_err(|_| Malformed)
}

pub(crate) fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push((value & 0x7f) as u8);
}

pub(crate) fn read_varint(from: &[u8]) -> Result<(u64, &[u8]), Malformed> {
    let mut value = 0u64;
    for (i, &byte) in from.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        let shift = 7 * u32::try_from(i).unwrap_or(u32::MAX);
        if part != 0 && part.leading_zeros() < shift {
            return Err(Malformed);
        }
        value |= part.checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Ok((value, &from[i + 1..]));
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(fields in proptest::collection::vec((any::<u8>(), any::<u64>(), ".*"), 0..20)) {
            let mut record = Vec::new();
            for (tag, value, words) in &fields {
                Writer(&mut record).number(*tag, *value);
                Writer(&mut record).text(*tag, Some(words));
            }
            let mut read = Fields(&record);
            for (tag, value, words) in &fields {
                let (t, v) = read.next().unwrap().unwrap();
                prop_assert_eq!((t, number(v).unwrap()), (*tag, *value));
                let (t, v) = read.next().unwrap().unwrap();
                prop_assert_eq!((t, text(v).unwrap()), (*tag, words.clone()));
            }
            prop_assert!(read.next().is_none());
        }

        #[test]
        fn garbage_is_refused_without_panic(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, value) in Fields(&garbage).flatten() {
                let _ = (number(value), text(value), small::<u8>(value));
            }
        }
    }
}
