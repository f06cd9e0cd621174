//! Queues that are made while the host runs: the same keys as `[queue.NAME]` in the file, as JSON.
//!
//! What is said of them is held against the same rules. They take the built-in defaults, not those of the
//! file, so that a definition means the same wherever the store is opened.

use std::path::Path;

use gristmill_queue::{QueueName, QueuePolicy};
use serde_json::{Map, Value};

use super::problem::Severity;
use super::{Surroundings, parse, spelling};

/// Keys of queues in the file that a queue which is made cannot have.
const ONLY_IN_THE_FILE: [&str; 6] = [
    "handler",
    "build",
    "watch",
    "batch_size",
    "batch_wait",
    "batch_bytes",
];

/// What a definition declares.
///
/// # Errors
/// In words, all that is wrong with it.
pub fn policy(name: &QueueName, definition: &Map<String, Value>) -> Result<QueuePolicy, String> {
    if let Some(key) = ONLY_IN_THE_FILE
        .iter()
        .find(|key| definition.contains_key(**key))
    {
        return Err(format!(
            "`{key}` cannot be given to a queue that is made while the host runs: declare [queue.{}] in the configuration, which then takes the queue over with its messages",
            spelling::quoted(name.as_str())
        ));
    }
    let mut table = definition.clone();
    let dead_letter = match table.remove("dead_letter") {
        None | Some(Value::Null) => None,
        Some(Value::String(target)) => {
            Some(QueueName::new(&target).map_err(|error| format!("`dead_letter`: {error}"))?)
        }
        Some(_) => return Err("`dead_letter` must be the name of a queue".to_owned()),
    };
    table.retain(|_, value| !value.is_null());
    let file = serde_json::json!({ "queue": { name.as_str(): table } });
    let text = toml::to_string(&file).map_err(|error| format!("it cannot be read: {error}"))?;
    let around = Surroundings {
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::Unsupported.into()),
        cores: 1,
    };
    let mut config = parse(&text, Path::new("definition"), &around).map_err(|errors| {
        let errors = errors.problems.iter();
        let errors = errors.filter(|problem| problem.severity == Severity::Error);
        let words: Vec<String> = errors
            .map(|problem| match &problem.help {
                Some(help) => format!("{}: {help}", problem.message),
                None => problem.message.clone(),
            })
            .collect();
        words.join("; ")
    })?;
    let queue = config.queues.remove(name).ok_or("it declares no queue")?;
    Ok(QueuePolicy {
        dead_letter,
        ..queue.policy
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use std::time::Duration;

    use super::*;

    fn read(definition: Value) -> Result<QueuePolicy, String> {
        let Value::Object(definition) = definition else {
            unreachable!("a test gives objects")
        };
        policy(&QueueName::new("orders.fifo").unwrap(), &definition)
    }

    #[test]
    fn a_definition_is_read_like_the_file() {
        let made = json!({
            "ttl": "4d", "on_expiry": "drop", "delay": "5s", "max_attempts": 3,
            "max_message_size": "1MiB", "dead_letter": "failed",
            "backoff": { "base": "2s", "jitter": "none" }, "rate": null
        });
        let policy = read(made).unwrap();
        assert_eq!(policy.default_ttl, Some(Duration::from_secs(4 * 86_400)));
        assert_eq!(policy.delay, Duration::from_secs(5));
        assert_eq!(policy.retry.max_attempts, 3);
        assert_eq!(policy.retry.base, Duration::from_secs(2));
        assert_eq!(policy.max_body, 1 << 20);
        assert_eq!(policy.dead_letter, QueueName::new("failed").ok());
        assert_eq!(read(json!({})).unwrap(), QueuePolicy::default());
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let table = [
            (json!({ "max_attemps": 3 }), "max_attempts"),
            (json!({ "max_attempts": 0 }), "max_attempts"),
            (json!({ "ttl": "soon" }), "ttl"),
            (json!({ "handler": "x.wasm" }), "`handler` cannot be given"),
            (json!({ "build": "rm" }), "`build` cannot be given"),
            (json!({ "dead_letter": "../x" }), "dead_letter"),
            (json!({ "dead_letter": 5 }), "dead_letter"),
            (json!({ "backoff": [1] }), "backoff"),
        ];
        for (definition, words) in table {
            let problem = read(definition.clone()).unwrap_err();
            assert!(problem.contains(words), "{definition}: {problem}");
        }
    }
}
