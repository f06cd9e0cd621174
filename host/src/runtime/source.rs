//! What a file in the folder of handlers is, and what makes a component of it.
//!
//! Looks at its name and at the first bytes of its sections; whether it is any good is for those to
//! say who make a component of it.

use std::borrow::Cow;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::compile::CompileError;
use super::head_start::HeadStart;
use super::load::hex;
use super::program::BATCH_HANDLER;
use super::{componentize, javascript};

/// How a core module begins.
pub(super) const CORE: [u8; 8] = *b"\0asm\x01\0\0\0";
/// How the name of the section begins in which a toolchain leaves the interface that it built for.
const INTERFACE: &[u8] = b"component-type";
/// Sections with a name of their own, and the one of the exports.
const CUSTOM: u8 = 0;
const EXPORTS: u8 = 7;
/// The exports of a core module that implements `gristmill:queue` itself.
const HANDLE: (&str, &str) = ("gristmill:queue/handler@", "#handle");
const HANDLE_BATCH: (&str, &str) = ("gristmill:queue/batch-handler@", "#handle-batch");

/// What has to be done with a file to run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: it is WebAssembly as it is run.
    Wasm,
    /// It is a core module that says which interface it was built for.
    Interface,
    /// It is a core module that exports the functions of the interface, by their names.
    Functions,
    /// The same, with those for batches.
    BatchFunctions,
    /// It is a program in JavaScript.
    JavaScript,
}

/// A file, as it was read.
#[derive(Clone, Copy)]
pub(super) struct Source<'m> {
    pub(super) kind: Kind,
    /// Its name.
    pub(super) file: &'m str,
    pub(super) bytes: &'m [u8],
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Wasm,
        Kind::Interface,
        Kind::Functions,
        Kind::BatchFunctions,
        Kind::JavaScript,
    ];

    /// The name it goes by between the host and the process that compiles.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Wasm => "wasm",
            Kind::Interface => "interface",
            Kind::Functions => "functions",
            Kind::BatchFunctions => "batch-functions",
            Kind::JavaScript => "javascript",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl<'m> Source<'m> {
    pub(super) fn of(file: &'m str, bytes: &'m [u8]) -> Self {
        let kind = match is_javascript(file) {
            true => Kind::JavaScript,
            false => core_kind(bytes).unwrap_or(Kind::Wasm),
        };
        Source { kind, file, bytes }
    }

    /// What is compiled.
    pub(super) fn webassembly(&self, head: &mut HeadStart) -> Result<Cow<'m, [u8]>, CompileError> {
        match self.kind {
            Kind::Wasm => Ok(Cow::Borrowed(self.bytes)),
            Kind::Interface => componentize::component(self.bytes).map(Cow::Owned),
            Kind::Functions => {
                componentize::of_functions(self.bytes, "queue-handler").map(Cow::Owned)
            }
            Kind::BatchFunctions => {
                componentize::of_functions(self.bytes, "queue-batch-handler").map(Cow::Owned)
            }
            Kind::JavaScript => javascript::component(self.file, self.bytes, head).map(Cow::Owned),
        }
    }

    /// Leaves out of what the component imports and exports what is not the file's own.
    pub(super) fn keep_own(&self, imports: &mut Vec<String>, exports: &mut Vec<String>) {
        if self.kind == Kind::JavaScript {
            javascript::keep_used(imports, self.bytes);
            let batches = javascript::takes_batches(self.bytes);
            exports.retain(|export| {
                let is_batch = export.split('@').next() == Some(BATCH_HANDLER);
                export != javascript::INIT && (batches || !is_batch)
            });
        }
    }

    /// What the code is kept under: a hash of all that it is made of. `hash` is that of the bytes.
    pub(super) fn key(&self, hash: &str) -> String {
        match self.kind {
            Kind::Wasm => hash.to_owned(),
            Kind::Interface | Kind::Functions | Kind::BatchFunctions => {
                keyed(&[hash, componentize::MADE_BY])
            }
            // Its name is in the stacks of its errors.
            Kind::JavaScript => keyed(&[hash, self.file, made_with()]),
        }
    }
}

/// Whether a file of this name is a program in JavaScript.
pub(super) fn is_javascript(file: &str) -> bool {
    file.ends_with(".js") || file.ends_with(".mjs")
}

fn keyed(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

/// A hash of what is added to every program in JavaScript.
fn made_with() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hex(&javascript::made_with()))
}

/// What a core module brings that a component can be made of, if anything.
fn core_kind(module: &[u8]) -> Option<Kind> {
    let mut rest = module.strip_prefix(&CORE)?;
    let mut functions = None;
    while let Some((&id, after)) = rest.split_first() {
        let (section, next) = sized(after)?;
        match id {
            CUSTOM if sized(section).is_some_and(|(name, _)| name.starts_with(INTERFACE)) => {
                return Some(Kind::Interface);
            }
            EXPORTS => functions = exported_functions(section),
            _ => {}
        }
        rest = next;
    }
    functions
}

/// Whether the functions of the interface are among the exports.
fn exported_functions(section: &[u8]) -> Option<Kind> {
    let (count, mut rest) = number(section)?;
    let (mut one, mut batch) = (false, false);
    for _ in 0..count {
        let (name, after) = sized(rest)?;
        let is = |(begin, end): (&str, &str)| {
            name.starts_with(begin.as_bytes()) && name.ends_with(end.as_bytes())
        };
        one |= is(HANDLE);
        batch |= is(HANDLE_BATCH);
        // A byte for what it is, and its number.
        rest = number(after.get(1..)?)?.1;
    }
    match (one, batch) {
        (true, true) => Some(Kind::BatchFunctions),
        (true, false) => Some(Kind::Functions),
        (false, _) => None,
    }
}

/// Bytes with their number before them, and what follows.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, after) = number(bytes)?;
    after.split_at_checked(size)
}

/// An unsigned number as WebAssembly writes it (LEB128, 32 bits), and what follows.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value: u64 = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_section(name: &str) -> Vec<u8> {
        wat::parse_str(format!("(module (memory 1) (@custom \"{name}\" \"x\"))")).unwrap()
    }

    fn exports(names: &[&str]) -> Vec<u8> {
        let functions = names
            .iter()
            .map(|name| format!("(func (export \"{name}\"))"));
        wat::parse_str(format!("(module {})", functions.collect::<String>())).unwrap()
    }

    #[test]
    fn names_and_sections_tell_what_a_file_is() {
        let kind = |file: &str, bytes: &[u8]| Source::of(file, bytes).kind;
        assert_eq!(
            kind("a.js", b"export function handle() {}"),
            Kind::JavaScript
        );
        assert_eq!(kind("a.mjs", b""), Kind::JavaScript);
        for name in [
            "component-type",
            "component-type:orders",
            "component-type:wit-bindgen:0.63",
        ] {
            assert_eq!(
                kind("a.wasm", &with_section(name)),
                Kind::Interface,
                "{name}"
            );
        }
        assert_eq!(kind("a.wasm", &with_section("producers")), Kind::Wasm);
        let (one, batch) = (
            "gristmill:queue/handler@0.1.0#handle",
            "gristmill:queue/batch-handler@0.1.0#handle-batch",
        );
        for (names, expected) in [
            (&["_start", "memory2"][..], Kind::Wasm),
            (&["_initialize", one], Kind::Functions),
            (&[batch, one], Kind::BatchFunctions),
            (&[batch], Kind::Wasm),
            (
                &["cabi_post_gristmill:queue/handler@0.1.0#handle"],
                Kind::Wasm,
            ),
        ] {
            assert_eq!(kind("a.wasm", &exports(names)), expected, "{names:?}");
        }
        let component = wat::parse_str("(component)").unwrap();
        assert_eq!(kind("a.wasm", &component), Kind::Wasm);
        assert_eq!(kind("a.wasm", b"ELF"), Kind::Wasm);
    }

    #[test]
    fn a_module_that_is_cut_off_anywhere_is_looked_at_without_harm() {
        let module = with_section("component-type:orders");
        for end in 0..module.len() {
            assert_eq!(
                Source::of("a.wasm", &module[..end]).kind,
                Kind::Wasm,
                "{end}"
            );
        }
        let functions = exports(&["gristmill:queue/handler@0.1.0#handle", "memory2"]);
        let name = b"memory2";
        let named = functions
            .windows(name.len())
            .position(|bytes| bytes == name);
        for end in 0..functions.len() {
            let kind = Source::of("a.wasm", &functions[..end]).kind;
            assert!(kind == Kind::Wasm || end > named.unwrap(), "{end}");
        }
        let endless = [&CORE[..], &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
        assert_eq!(Source::of("a.wasm", &endless).kind, Kind::Wasm);
    }

    #[test]
    fn code_is_kept_by_all_that_it_is_made_of() {
        let key = |file, bytes: &'static [u8], hash| Source::of(file, bytes).key(hash);
        assert_eq!(key("a.wasm", b"x", "12"), "12");
        let script = key("a.js", b"x", "12");
        assert_ne!(script, "12");
        assert_ne!(script, key("b.js", b"x", "12"));
        assert_ne!(script, key("a.js", b"x", "13"));
        assert_eq!(script, key("a.js", b"y", "12"));
    }
}
