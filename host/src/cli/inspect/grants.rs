//! What a module asks for by its imports, and the configuration that would grant it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::runtime::spec::Grants;

/// Something that a module may only do if it is granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// The import that asks for it.
    pub import: String,
    /// What for.
    pub purpose: &'static str,
    /// The line that grants it.
    pub grant: &'static str,
    /// Whether the configuration grants it; `None` if that does not know the module.
    pub granted: Option<bool>,
}

impl Permission {
    /// On one line.
    pub fn line(&self) -> String {
        let granted = match self.granted {
            None => "",
            Some(true) => "; granted by this configuration",
            Some(false) => "; NOT granted by this configuration",
        };
        format!(
            "to {}: {}  ({}{granted})",
            self.purpose, self.grant, self.import
        )
    }
}

/// An interface, what it is for, the line that grants it, and whether that was done.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Grants) -> bool,
);

const GRANTED: [Row; 5] = [
    (
        "gristmill:queue/producer",
        "send messages",
        "send_to = [\"…\"] or reply = true",
        |grants| !grants.send_to.is_empty() || grants.reply,
    ),
    (
        "gristmill:queue/state",
        "keep a state",
        "state = true",
        |grants| grants.state,
    ),
    (
        "gristmill:queue/secrets",
        "read secrets",
        "secrets = { … }",
        |grants| !grants.secrets.is_empty(),
    ),
    (
        "wasi:messaging/producer",
        "send messages",
        "send_to = [\"…\"]",
        |grants| !grants.send_to.is_empty(),
    ),
    (
        "wasi:messaging/request-reply",
        "answer to the sender",
        "reply = true",
        |grants| grants.reply,
    ),
];

/// The packages and interfaces of which everything is linked and every use is refused.
const REFUSED_IN_USE: [(&str, &str); 3] = [
    ("wasi:filesystem/", "files"),
    ("wasi:sockets/", "sockets"),
    ("wasi:http/outgoing-handler", "requests to elsewhere"),
];

/// What a module asks for. `known` is what the configuration grants it.
pub fn permissions(imports: &[String], known: Option<&Grants>) -> Vec<Permission> {
    let asked = imports.iter().filter_map(|import| {
        let (_, purpose, grant, given) = GRANTED.iter().find(|row| row.0 == interface(import))?;
        Some(Permission {
            import: import.clone(),
            purpose,
            grant,
            granted: known.map(given),
        })
    });
    asked.collect()
}

/// What it imports and can do nothing with: in the words of people.
pub fn refused_in_use(imports: &[String]) -> Vec<&'static str> {
    let asks = |package: &str| imports.iter().any(|import| import.starts_with(package));
    let found = REFUSED_IN_USE.iter().filter(|(package, _)| asks(package));
    found.map(|(_, words)| *words).collect()
}

fn interface(import: &str) -> &str {
    import.split('@').next().unwrap_or(import)
}

/// What is known about a module that is to be configured.
#[derive(Debug, Default)]
pub struct Wishes<'w> {
    /// The name of the handler.
    pub name: &'w str,
    /// The name of its queue.
    pub queue: &'w str,
    /// The file.
    pub file: &'w str,
    /// What it imports.
    pub imports: &'w [String],
    /// Where it was seen to send to.
    pub sends_to: BTreeSet<String>,
    /// Whether it was seen to answer to the sender.
    pub replies: bool,
}

impl Wishes<'_> {
    /// Tables for `gristmill.toml`: a queue with this handler, and all that it asks for.
    pub fn toml(&self) -> String {
        let asks = |wanted: &str| self.imports.iter().any(|one| interface(one) == wanted);
        let sends = asks("gristmill:queue/producer") || asks("wasi:messaging/producer");
        let (name, file) = (quoted(self.name), text(self.file));
        // A queue for what it sends that nobody has seen it send.
        let assumed = format!("{}-out", self.queue);
        let unseen = sends && self.sends_to.is_empty() && !self.replies;
        let mut queues: Vec<&str> = self.sends_to.iter().map(String::as_str).collect();
        if unseen {
            queues.push(&assumed);
        }

        let own = quoted(self.queue);
        let mut out = format!("[queue.{own}]\nhandler = {file}\n");
        for queue in queues.iter().filter(|queue| **queue != self.queue) {
            let note = if unseen {
                "# A queue that it sends to: write the real name here and in `send_to`.\n"
            } else {
                ""
            };
            let _ = write!(out, "\n{note}[queue.{}]\n", quoted(queue));
        }
        let mut keys = String::new();
        if !queues.is_empty() {
            let list: Vec<String> = queues.iter().map(|queue| text(queue)).collect();
            let _ = writeln!(keys, "send_to = [{}]", list.join(", "));
        }
        if self.replies || asks("wasi:messaging/request-reply") {
            keys.push_str("reply = true\n");
        }
        if asks("gristmill:queue/state") {
            keys.push_str("state = true\n");
        }
        let secrets = asks("gristmill:queue/secrets");
        if !keys.is_empty() {
            let _ = write!(out, "\n[handler.{name}]\n{keys}");
        }
        if secrets {
            let _ = write!(
                out,
                "\n# Each secret that it reads: where its value is. The host does not start without.\n\
                 [handler.{name}.secrets]\napi_key = {{ env = \"API_KEY\" }}\n"
            );
        }
        if asks("wasi:config/store") {
            let _ = write!(
                out,
                "\n# What it may ask `wasi:config/store` for.\n[handler.{name}.config]\n"
            );
        }
        out
    }
}

/// A name as a key of TOML.
fn quoted(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        text(name)
    }
}

/// A text of TOML. Names of queues and modules have nothing in them that would have to be escaped.
fn text(text: &str) -> String {
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Config};

    fn imports(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn read(toml: &str) -> Config {
        let around = config::Surroundings {
            env: &|name| (name == "API_KEY").then(|| "k".to_owned()),
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            cores: 2,
        };
        let config = config::parse(toml, Path::new("gristmill.toml"), &around);
        let config = config.unwrap_or_else(|errors| panic!("{toml}\n{}", errors.render(false)));
        assert!(config.warnings.is_empty(), "{toml}\n{:?}", config.warnings);
        config
    }

    const ALL: [&str; 8] = [
        "wasi:messaging/producer@0.2.0-draft",
        "wasi:messaging/request-reply@0.2.0-draft",
        "gristmill:queue/producer@0.1.0",
        "gristmill:queue/state@0.1.0",
        "gristmill:queue/secrets@0.1.0",
        "gristmill:queue/delivery@0.1.0",
        "wasi:config/store@0.2.0-rc.1",
        "wasi:sockets/tcp@0.2.3",
    ];

    #[test]
    fn what_would_grant_it_is_a_configuration_that_does() {
        let imports = imports(&ALL);
        let mut wishes = Wishes {
            name: "my.orders",
            queue: "my-orders",
            file: "my.orders.wasm",
            imports: &imports,
            ..Wishes::default()
        };
        let granted = |wishes: &Wishes<'_>| {
            let config = read(&wishes.toml());
            let spec = &config.handlers["my.orders"];
            let all = permissions(&imports, Some(&spec.grants));
            assert_eq!(all.len(), 5);
            assert!(all.iter().all(|one| one.granted == Some(true)), "{all:?}");
            spec.grants.clone()
        };
        let unseen = granted(&wishes);
        assert_eq!(
            unseen.send_to.keys().next().unwrap().as_str(),
            "my-orders-out"
        );

        wishes.sends_to = ["invoices".to_owned(), "my-orders".to_owned()].into();
        wishes.replies = true;
        let seen = granted(&wishes);
        assert!(seen.reply && seen.send_to.len() == 2);
    }

    #[test]
    fn a_module_that_asks_for_nothing_needs_two_lines() {
        let wishes = Wishes {
            name: "sink",
            queue: "sink",
            file: "sink.wasm",
            ..Wishes::default()
        };
        assert_eq!(wishes.toml(), "[queue.sink]\nhandler = \"sink.wasm\"\n");
        read(&wishes.toml());
    }

    #[test]
    fn what_is_not_granted_is_told_from_what_nobody_knows() {
        let imports = imports(&ALL);
        let unknown = permissions(&imports, None);
        assert!(unknown.iter().all(|one| one.granted.is_none()));
        let none = permissions(&imports, Some(&Grants::default()));
        assert!(none.iter().all(|one| one.granted == Some(false)));
        assert_eq!(refused_in_use(&imports), ["sockets"]);
    }
}
