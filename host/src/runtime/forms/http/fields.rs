//! Headers and trailers: names in lower case, each with the bytes of a value.
//!
//! What is refused is what a host that writes them to a network refuses, so that a handler that runs here
//! runs there, too.

use http::header::{HeaderName, HeaderValue};
use wasmtime::component::Resource;

use crate::runtime::bindings::http::wasi::http::types::{HeaderError, HostFields};
use crate::runtime::forms::Broken;
use crate::runtime::instance::Sandbox;

/// Bytes of one set of headers that a guest makes, with what the host needs for each value.
const MAX_SIZE: u64 = 256 * 1024;
/// Bytes that the host holds for each value, beside its name and itself.
const ENTRY: usize = 96;
/// What the limit of what is held calls them.
const WHAT: &str = "headers";

/// Names that belong to the connection, and those of a host that is asked: not for guests to say.
const FORBIDDEN: [&str; 10] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A name and a value.
pub(super) type Entry = (String, Vec<u8>);

/// Headers in the guest's hands.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    entries: Vec<Entry>,
    size: u64,
    frozen: bool,
}

impl Fields {
    /// Those that a request came with.
    pub(super) fn received(entries: Vec<Entry>) -> Self {
        Fields {
            size: entries.iter().map(size_of).sum(),
            entries,
            frozen: true,
        }
    }

    /// The same, not to be changed.
    pub(super) fn view(&self) -> Self {
        Fields {
            frozen: true,
            ..self.clone()
        }
    }

    /// Bytes of them that the host holds.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first value of this name, which is in lower case.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.entries.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| &**value)
    }

    fn remove(&mut self, name: &str) {
        let mut removed = 0;
        self.entries.retain(|entry| {
            let keep = entry.0 != name;
            removed += if keep { 0 } else { size_of(entry) };
            keep
        });
        self.size -= removed;
    }

    fn add(&mut self, name: &str, value: Vec<u8>) -> Result<(), Refused> {
        if HeaderValue::from_bytes(&value).is_err() {
            return Err(Refused::Told(HeaderError::InvalidSyntax));
        }
        let entry = (name.to_owned(), value);
        self.size += size_of(&entry);
        if self.size > MAX_SIZE {
            return Err(Refused::TooLarge);
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The name in lower case, if one may be set here.
    fn settable(&self, name: &str) -> Result<String, Refused> {
        if self.frozen {
            return Err(Refused::Told(HeaderError::Immutable));
        }
        let name = lower(name).ok_or(Refused::Told(HeaderError::InvalidSyntax))?;
        match FORBIDDEN.contains(&&*name) {
            true => Err(Refused::Told(HeaderError::Forbidden)),
            false => Ok(name),
        }
    }

    fn set(&mut self, name: &str, values: Vec<Vec<u8>>) -> Result<(), Refused> {
        let name = self.settable(name)?;
        let mut changed = self.clone();
        changed.remove(&name);
        for value in values {
            changed.add(&name, value)?;
        }
        *self = changed;
        Ok(())
    }

    fn append(&mut self, name: &str, value: Vec<u8>) -> Result<(), Refused> {
        let name = self.settable(name)?;
        self.add(&name, value)
    }

    fn delete(&mut self, name: &str) -> Result<(), Refused> {
        let name = self.settable(name)?;
        self.remove(&name);
        Ok(())
    }
}

/// Why a change is not made.
#[derive(Debug)]
enum Refused {
    /// The guest is told.
    Told(HeaderError),
    /// The standard has no word for it.
    TooLarge,
}

impl Refused {
    /// What the guest is told, or its end.
    fn settled(self) -> wasmtime::Result<HeaderError> {
        match self {
            Refused::Told(error) => Ok(error),
            Refused::TooLarge => Err(Broken::limit(format!(
                "made headers of more than {MAX_SIZE} bytes, with {ENTRY} for each of them: make fewer"
            ))),
        }
    }
}

fn size_of((name, value): &Entry) -> u64 {
    (ENTRY + name.len() + value.len()) as u64
}

/// A name of a header as it is kept, if it is one.
fn lower(name: &str) -> Option<String> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some(name.as_str().to_owned())
}

impl Sandbox {
    pub(super) fn push_fields(&mut self, fields: Fields) -> wasmtime::Result<Resource<Fields>> {
        self.hold(0, fields.size(), WHAT)?;
        Ok(self.table.push(fields)?)
    }

    /// Takes them out of the guest's hands, and holds them no more.
    pub(super) fn take_fields(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Fields> {
        let fields = self.table.delete(fields)?;
        self.hold(fields.size(), 0, WHAT)?;
        Ok(fields)
    }

    fn change_fields(
        &mut self,
        fields: &Resource<Fields>,
        change: impl FnOnce(&mut Fields) -> Result<(), Refused>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        let fields = self.table.get_mut(fields)?;
        let before = fields.size();
        let changed = change(fields);
        let after = fields.size();
        self.hold(before, after, WHAT)?;
        match changed {
            Ok(()) => Ok(Ok(())),
            Err(refused) => refused.settled().map(Err),
        }
    }
}

impl HostFields for Sandbox {
    fn new(&mut self) -> wasmtime::Result<Resource<Fields>> {
        self.push_fields(Fields::default())
    }

    fn from_list(
        &mut self,
        entries: Vec<Entry>,
    ) -> wasmtime::Result<Result<Resource<Fields>, HeaderError>> {
        let mut fields = Fields::default();
        for (name, value) in entries {
            if let Err(refused) = fields.append(&name, value) {
                return refused.settled().map(Err);
            }
        }
        self.push_fields(fields).map(Ok)
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        let fields = self.table.get(&fields)?;
        let Some(name) = lower(&name) else {
            return Ok(Vec::new());
        };
        let found = fields.entries.iter().filter(|(known, _)| *known == name);
        Ok(found.map(|(_, value)| value.clone()).collect())
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<bool> {
        let fields = self.table.get(&fields)?;
        Ok(lower(&name).is_some_and(|name| fields.first(&name).is_some()))
    }

    fn set(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        values: Vec<Vec<u8>>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| fields.set(&name, values))
    }

    fn delete(
        &mut self,
        fields: Resource<Fields>,
        name: String,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| fields.delete(&name))
    }

    fn append(
        &mut self,
        fields: Resource<Fields>,
        name: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), HeaderError>> {
        self.change_fields(&fields, |fields| fields.append(&name, value))
    }

    fn entries(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Vec<Entry>> {
        Ok(self.table.get(&fields)?.entries.clone())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> {
        let mut copy = Clone::clone(self.table.get(&fields)?);
        copy.frozen = false;
        self.push_fields(copy)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> wasmtime::Result<()> {
        self.take_fields(fields).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refused: Result<(), Refused>) -> Option<&'static str> {
        match refused.err()? {
            Refused::Told(HeaderError::InvalidSyntax) => Some("invalid"),
            Refused::Told(HeaderError::Forbidden) => Some("forbidden"),
            Refused::Told(HeaderError::Immutable) => Some("immutable"),
            Refused::TooLarge => Some("too large"),
        }
    }

    #[test]
    fn names_have_no_case_and_values_keep_their_order() {
        let mut fields = Fields::default();
        fields.append("X-A", b"1".to_vec()).unwrap();
        fields.append("x-b", b"2".to_vec()).unwrap();
        fields.append("x-a", b"3".to_vec()).unwrap();
        let names: Vec<_> = fields.entries().iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["x-a", "x-b", "x-a"]);
        assert_eq!(fields.first("x-a"), Some(&b"1"[..]));
        fields.set("X-a", vec![b"4".to_vec()]).unwrap();
        assert_eq!(fields.first("x-a"), Some(&b"4"[..]));
        fields.delete("X-B").unwrap();
        assert_eq!(fields.entries().len(), 1);
        assert_eq!(fields.size(), (ENTRY + 4) as u64);
    }

    #[test]
    fn what_no_header_may_be_is_refused_and_changes_nothing() {
        let mut fields = Fields::default();
        for (name, value, why) in [
            ("", "x", "invalid"),
            ("a b", "x", "invalid"),
            ("grün", "x", "invalid"),
            ("a", "x\r\ny: z", "invalid"),
            ("Transfer-Encoding", "chunked", "forbidden"),
            ("HOST", "x", "forbidden"),
        ] {
            let refused = fields.append(name, value.as_bytes().to_vec());
            assert_eq!(told(refused), Some(why), "{name}: {value}");
        }
        fields.append("a", b"1".to_vec()).unwrap();
        let refused = fields.set("a", vec![b"2".to_vec(), b"\n".to_vec()]);
        assert_eq!(told(refused), Some("invalid"));
        assert_eq!(fields.first("a"), Some(&b"1"[..]));
        let mut frozen = fields.view();
        assert_eq!(told(frozen.append("b", b"1".to_vec())), Some("immutable"));
        assert_eq!(told(frozen.delete("a")), Some("immutable"));
    }

    #[test]
    fn many_small_ones_are_as_large_as_what_they_cost() {
        let mut fields = Fields::default();
        let mut added = 0;
        while fields.append("a", Vec::new()).is_ok() {
            added += 1;
        }
        assert_eq!(added, MAX_SIZE / (ENTRY as u64 + 1));
        let refused = fields.append("a", Vec::new());
        assert_eq!(told(refused), Some("too large"));
    }
}
