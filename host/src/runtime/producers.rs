//! What a module is and what built it: the custom section `producers`, which most toolchains write.
//!
//! Knows how a binary is cut into sections, and how that one is laid out
//! (tool-conventions, `ProducersSection.md`). Believes nothing: what does not add up is left out, and
//! the compiler says what is wrong with it.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{CORE, is_javascript};

/// The first bytes of a component.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// How a module comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A component: it has interfaces.
    Component,
    /// A core module: it has functions of numbers.
    CoreModule,
    /// A program of which the host makes a component.
    JavaScript,
    /// Anything else.
    Other,
}

impl Format {
    /// What the name and the first bytes say.
    #[must_use]
    pub fn of(file: &Path, module: &[u8]) -> Self {
        let name = file.to_string_lossy();
        match module.first_chunk::<8>() {
            _ if is_javascript(&name) => Format::JavaScript,
            Some(first) if *first == COMPONENT => Format::Component,
            Some(first) if *first == CORE => Format::CoreModule,
            _ => Format::Other,
        }
    }

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Component => "component",
            Format::CoreModule => "core module",
            Format::JavaScript => "JavaScript",
            Format::Other => "no WebAssembly",
        }
    }
}

/// Modules within modules.
const MAX_DEPTH: u8 = 8;
/// Names kept of each kind.
const MAX_NAMES: usize = 50;
/// Characters of a name or a version.
const MAX_NAME: usize = 100;

/// By kind (`language`, `processed-by`, `sdk`), the names with their versions, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers(BTreeMap<String, Vec<(String, String)>>);

impl Producers {
    /// What a component or a core module says, with what the modules within it say.
    #[must_use]
    pub fn of(module: &[u8]) -> Self {
        let mut found = Producers::default();
        let _ = found.read(module, MAX_DEPTH);
        found
    }

    /// The languages, the tools (`processed-by`) or the SDKs, each with its version, as far as it has one.
    pub fn named(&self, kind: &str) -> impl Iterator<Item = String> {
        let named = self.0.get(kind).into_iter().flatten();
        named.map(|(name, version)| match version.as_str() {
            "" => name.clone(),
            version => format!("{name} {version}"),
        })
    }

    fn read(&mut self, module: &[u8], depth: u8) -> Option<()> {
        let (preamble, mut rest) = module.split_first_chunk::<8>()?;
        let is_component = *preamble == COMPONENT;
        if !is_component && *preamble != CORE {
            return None;
        }
        while !rest.is_empty() {
            let (id, after) = rest.split_first()?;
            let mut reader = Reader(after);
            let section = reader.bytes()?;
            rest = reader.0;
            match (*id, is_component) {
                (0, _) => drop(self.custom(section)),
                // A core module, or a component, within the component.
                (1 | 4, true) if depth > 0 => drop(self.read(section, depth - 1)),
                _ => {}
            }
        }
        Some(())
    }

    fn custom(&mut self, section: &[u8]) -> Option<()> {
        let mut reader = Reader(section);
        if reader.bytes()? != b"producers" {
            return None;
        }
        for _ in 0..reader.number()? {
            let kind = reader.name()?;
            for _ in 0..reader.number()? {
                let named = (reader.name()?, reader.name()?);
                if self.0.len() >= MAX_NAMES && !self.0.contains_key(&kind) {
                    continue;
                }
                let known = self.0.entry(kind.clone()).or_default();
                if known.len() < MAX_NAMES && !known.contains(&named) {
                    known.push(named);
                }
            }
        }
        Some(())
    }
}

/// Reads from the beginning of some bytes.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    /// A number of 32 bits, in LEB128.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).ok();
            }
        }
        None
    }

    /// Bytes with their number in front.
    fn bytes(&mut self) -> Option<&'b [u8]> {
        let count = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn name(&mut self) -> Option<String> {
        let name = std::str::from_utf8(self.bytes()?).ok()?;
        Some(name.chars().take(MAX_NAME).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"(component
        (core module
            (@producers (language "Rust" "") (processed-by "rustc" "1.95.0") (processed-by "clang" "19")))
        (component (core module (@producers (processed-by "rustc" "1.95.0") (sdk "gristmill" "0.1.0")))))"#;

    #[test]
    fn what_built_a_module_is_found_also_within_it_and_said_once() {
        let found = Producers::of(&wat::parse_str(TEXT).unwrap());
        let named = |kind: &str| found.named(kind).collect::<Vec<_>>();
        assert_eq!(named("language"), ["Rust"]);
        assert_eq!(named("processed-by"), ["rustc 1.95.0", "clang 19"]);
        assert_eq!(named("sdk"), ["gristmill 0.1.0"]);
        assert!(named("else").is_empty());
    }

    #[test]
    fn a_module_that_says_nothing_or_is_none_has_none() {
        for module in [&b""[..], b"\0asm", b"\x7fELF....", &CORE, &COMPONENT] {
            assert_eq!(Producers::of(module), Producers::default());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(cut in 0..400usize, at in 0..400usize, byte: u8, tail: Vec<u8>) {
            let mut module = wat::parse_str(TEXT).unwrap();
            if let Some(changed) = module.get_mut(at) {
                *changed = byte;
            }
            module.truncate(cut);
            module.extend(&tail);
            let _ = Producers::of(&module);
            let _ = Producers::of(&[&COMPONENT[..], &tail].concat());
        }
    }
}
