//! The files of a program: the entry that is made for each handler, the file of the user, the SDK.

use crate::uses::uses;

/// What the engine runs before anything else: a place that it looks for when it starts.
pub const SHIM: &str = "globalThis.wit = {};";

/// The path of the entry. The SDK leaves what lies in its folder out of stacks.
pub const ENTRY: &str = "/gristmill/handler.js";
/// Where the SDK lies.
const SDK_FOLDER: &str = "/gristmill/";

/// The sources of the SDK, by name.
pub const SDK: [(&str, &str); 16] = [
    ("batch.js", include_str!("../../../sdk/js/src/batch.js")),
    ("body.js", include_str!("../../../sdk/js/src/body.js")),
    (
        "delivery.js",
        include_str!("../../../sdk/js/src/delivery.js"),
    ),
    (
        "duration.js",
        include_str!("../../../sdk/js/src/duration.js"),
    ),
    ("entry.js", include_str!("../../../sdk/js/src/entry.js")),
    ("failure.js", include_str!("../../../sdk/js/src/failure.js")),
    ("globals.js", include_str!("../../../sdk/js/src/globals.js")),
    ("host.js", include_str!("../../../sdk/js/src/host.js")),
    ("index.js", include_str!("../../../sdk/js/src/index.js")),
    ("message.js", include_str!("../../../sdk/js/src/message.js")),
    (
        "producer.js",
        include_str!("../../../sdk/js/src/producer.js"),
    ),
    ("secrets.js", include_str!("../../../sdk/js/src/secrets.js")),
    ("state.js", include_str!("../../../sdk/js/src/state.js")),
    ("trace.js", include_str!("../../../sdk/js/src/trace.js")),
    (
        "transaction.js",
        include_str!("../../../sdk/js/src/transaction.js"),
    ),
    ("utf8.js", include_str!("../../../sdk/js/src/utf8.js")),
];

/// Why a file that a program imports is not there, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleError(pub String);

/// The program that makes a handler of the file: it gives the SDK the interfaces that the file uses,
/// and exports its function. Only this knows of the component.
#[must_use]
pub fn entry(file: &str, source: &str) -> String {
    let used = uses(source);
    let mut program = String::from(
        "import \"gristmill/globals\";\nimport { handlerOf, batchHandlerOf } from \"gristmill/entry\";\n",
    );
    let mut names = Vec::new();
    for interface in used {
        program.push_str(&format!(
            "import {interface} from \"gristmill:queue/{interface}@0.1.0\";\n"
        ));
        names.push(interface);
    }
    for interface in [
        "cli/environment",
        "cli/stdout",
        "cli/stderr",
        "random/random",
    ] {
        let name = interface.rsplit('/').next().unwrap_or(interface);
        program.push_str(&format!("import {name} from \"wasi:{interface}@0.2.0\";\n"));
        names.push(name);
    }
    program.push_str(&format!(
        "import * as user from {};\nexport const handler = handlerOf(user, {{ {} }});\n\
         export const batchHandler = batchHandlerOf(user);\n",
        quoted(&format!("./{file}")),
        names.join(", ")
    ));
    program
}

/// The path of what a file imports. `file` is the name of the user's file.
///
/// # Errors
/// When there is no such file: a handler is one file and the SDK.
pub fn resolve(file: &str, referrer: &str, specifier: &str) -> Result<String, ModuleError> {
    let sdk = |name: &str| {
        let name = format!("{name}.js");
        let found = SDK.iter().any(|(file, _)| *file == name);
        found.then(|| format!("{SDK_FOLDER}{name}"))
    };
    let found = match specifier {
        "gristmill" => sdk("index"),
        _ => match specifier.strip_prefix("gristmill/") {
            Some(name) => sdk(name),
            None if referrer == ENTRY => {
                (specifier.strip_prefix("./") == Some(file)).then(|| user_path(file))
            }
            None if referrer.starts_with(SDK_FOLDER) => specifier
                .strip_prefix("./")
                .and_then(|name| sdk(name.strip_suffix(".js")?)),
            None => None,
        },
    };
    found.ok_or_else(|| {
        ModuleError(format!(
            "{} imports {}, but a plain file can import nothing but \"gristmill\": make one file of \
             them, for instance with `esbuild {file} --bundle --format=esm --external:gristmill`",
            referrer.trim_start_matches('/'),
            quoted(specifier),
        ))
    })
}

/// The content of a file of the program.
///
/// # Errors
/// When there is no such file.
pub fn load<'s>(file: &str, source: &'s str, path: &str) -> Result<&'s str, ModuleError> {
    if path == user_path(file) {
        return Ok(source);
    }
    let name = path.strip_prefix(SDK_FOLDER);
    let found = SDK.iter().find(|(file, _)| Some(*file) == name);
    let found = found.map(|(_, text)| *text);
    found.ok_or_else(|| ModuleError(format!("there is no file {path}")))
}

/// The path of the user's file. It is shown in stacks.
fn user_path(file: &str) -> String {
    format!("/{file}")
}

/// A text as JavaScript writes it.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_imports_what_the_file_uses_and_no_more() {
        let program = entry("orders.js", "import { send, state } from \"gristmill\";");
        let queue: Vec<&str> = program
            .lines()
            .filter(|line| line.contains("gristmill:queue"))
            .collect();
        assert_eq!(
            queue,
            [
                "import producer from \"gristmill:queue/producer@0.1.0\";",
                "import state from \"gristmill:queue/state@0.1.0\";"
            ]
        );
        assert!(
            program.contains("import * as user from \"./orders.js\";"),
            "{program}"
        );
        assert!(!entry("a.js", "export function handle() {}").contains("gristmill:queue"));
    }

    #[test]
    fn a_file_finds_the_sdk_and_nothing_else() {
        let from = |referrer: &str, specifier: &str| resolve("orders.js", referrer, specifier);
        assert_eq!(
            from("/orders.js", "gristmill").unwrap(),
            "/gristmill/index.js"
        );
        assert_eq!(from(ENTRY, "./orders.js").unwrap(), "/orders.js");
        assert_eq!(
            from("/gristmill/index.js", "./state.js").unwrap(),
            "/gristmill/state.js"
        );
        for other in [
            "./tax.js",
            "left-pad",
            "node:fs",
            "gristmill/nothing",
            "./index.js",
        ] {
            let problem = from("/orders.js", other).unwrap_err().0;
            assert!(
                problem.starts_with(&format!("orders.js imports {other:?}, but")),
                "{problem}"
            );
        }
        assert!(load("orders.js", "x", "/orders.js").unwrap() == "x");
        assert!(
            load("orders.js", "x", "/gristmill/state.js")
                .unwrap()
                .contains("export function add")
        );
        assert!(load("orders.js", "x", "/etc/passwd").is_err());
    }

    #[test]
    fn every_source_of_the_sdk_is_here() {
        let mut there: Vec<String> = std::fs::read_dir("../../sdk/js/src")
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".js"))
            .collect();
        there.sort();
        let here: Vec<&str> = SDK.iter().map(|(name, _)| *name).collect();
        assert_eq!(here, there);
    }
}
