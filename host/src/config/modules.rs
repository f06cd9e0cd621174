//! The files that queues name: what they may be called, and which handler each is.
//!
//! Knows nothing of what is in them.

use std::collections::BTreeMap;

use toml::Spanned;

use super::defaults;
use super::problem::Problems;

/// How the names of modules end: WebAssembly, and JavaScript of which the host makes it.
const ENDINGS: [&str; 3] = [".wasm", ".js", ".mjs"];

/// The handlers that queues name, each with its file.
#[derive(Default)]
pub struct Modules(BTreeMap<String, String>);

impl Modules {
    /// Takes note of the file that `key` names; answers with the name of the handler.
    pub fn note(
        &mut self,
        file: &Spanned<String>,
        key: &str,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let text = file.get_ref();
        let handler = match handler_of(text) {
            Ok(handler) => handler,
            Err(cure) => {
                let message = format!("`{key}` is not the name of a module: {text:?}");
                problems.error(file.span(), key, message, cure);
                return None;
            }
        };
        let known = self.0.entry(handler.to_owned());
        let known = known.or_insert_with(|| text.clone());
        if known != text {
            let message = format!(
                "`{key}` is {text:?}, and another queue has {known:?}: a handler has one file, and \
                 both would be the handler {handler:?}"
            );
            let cure = "name the same file, or give one of them another name".to_owned();
            problems.error(file.span(), key, message, cure);
        }
        Some(handler.to_owned())
    }

    /// The file of a handler.
    pub fn file(&self, handler: &str) -> String {
        let named = self.0.get(handler);
        named.cloned().unwrap_or_else(|| format!("{handler}.wasm"))
    }
}

/// The handler's name in that of its file.
pub fn stem(file: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| file.strip_suffix(ending))
}

/// The handler's name in that of its file, or the cure.
pub fn handler_of(file: &str) -> Result<&str, String> {
    if file.contains(['/', '\\']) {
        return Err("name a file in the folder `host.handlers`, without its path".to_owned());
    }
    let Some(stem) = stem(file) else {
        let cure = match file.strip_suffix(".ts") {
            Some(stem) => format!(
                "write \"{stem}.js\", and make that of it with a compiler for TypeScript such as \
                 esbuild"
            ),
            None => format!(
                "write \"{file}.wasm\", or \"{file}.js\" if it is JavaScript: modules end in .wasm, \
                 .js or .mjs"
            ),
        };
        return Err(cure);
    };
    let valid = !stem.starts_with('.')
        && (1..=defaults::MAX_HANDLER_NAME).contains(&stem.len())
        && stem
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if valid {
        Ok(stem)
    } else {
        let most = defaults::MAX_HANDLER_NAME;
        Err(format!(
            "use 1 to {most} letters, digits, '-', '_' and '.', and not a '.' first"
        ))
    }
}
