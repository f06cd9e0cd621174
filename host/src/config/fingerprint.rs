//! A short name for what a queue and its handler are configured to be.
//!
//! Dead letters carry it, so that one can tell which ones died under the same rules. It covers all
//! that has an effect on an attempt, but no place on this machine and no secret's value: only the
//! names of secrets. It is not a promise across versions: a new key changes it.

use std::fmt::{Debug, Write as _};

use gristmill_queue::effects::EffectLimits;
use gristmill_queue::retry::RetryPolicy;
use gristmill_queue::{QueueName, QueuePolicy};
use sha2::{Digest as _, Sha256};

use super::{Config, QueueConfig};
use crate::runtime::spec::{Grants, HandlerLimits, HandlerSpec};

/// Bytes of the hash that are kept: enough to tell configurations of one host apart.
const LENGTH: usize = 8;

impl Config {
    /// The fingerprint of a queue and its handler: 16 hexadecimal digits; `None` if the file does
    /// not declare the queue.
    #[must_use]
    pub fn fingerprint(&self, queue: &QueueName) -> Option<String> {
        let config = self.queues.get(queue)?;
        let handler = config
            .handler
            .as_ref()
            .and_then(|name| self.handlers.get(name));
        Some(fingerprint(config, handler))
    }
}

/// The fingerprint of a queue and its handler: 16 hexadecimal digits.
#[must_use]
pub fn fingerprint(queue: &QueueConfig, handler: Option<&HandlerSpec>) -> String {
    let mut lines = Lines(String::new());
    lines.queue(queue);
    if let Some(handler) = handler {
        lines.handler(handler);
    }
    let hash = Sha256::digest(lines.0.as_bytes());
    hash.iter()
        .take(LENGTH)
        .fold(String::new(), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// One line for each value. Texts are escaped, so no value can look like two lines. Every struct is
/// taken apart field by field, so that a new field cannot be forgotten.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: &dyn Debug) {
        let _ = writeln!(self.0, "{name} {value:?}");
    }

    fn queue(&mut self, queue: &QueueConfig) {
        let QueueConfig {
            policy,
            handler,
            batch,
            origin: _,
        } = queue;
        let QueuePolicy {
            retry,
            concurrency,
            // It says nothing about the handler.
            pull: _,
            rate,
            key,
            max_messages,
            max_bytes,
            on_full,
            max_body,
            delay,
            default_ttl,
            on_expiry,
            on_group_failure,
            dedup,
            dedup_window,
            dead_letter,
            dead_retention,
        } = policy;
        let RetryPolicy {
            max_attempts,
            base,
            factor,
            cap,
            jitter,
            max_age,
        } = retry;
        self.add("handler", handler);
        self.add("batch", batch);
        self.add("max_attempts", max_attempts);
        self.add("base", &base.as_nanos());
        self.add("factor", &factor.to_bits());
        self.add("cap", &cap.as_nanos());
        self.add("jitter", jitter);
        self.add("max_age", &max_age.map(|age| age.as_nanos()));
        self.add("concurrency", concurrency);
        self.add("rate", rate);
        self.add("key", key);
        self.add("max_messages", max_messages);
        self.add("max_bytes", max_bytes);
        self.add("on_full", on_full);
        self.add("max_body", max_body);
        self.add("delay", &delay.as_nanos());
        self.add("default_ttl", &default_ttl.map(|ttl| ttl.as_nanos()));
        self.add("on_expiry", on_expiry);
        self.add("on_group_failure", on_group_failure);
        self.add("dedup", dedup);
        self.add("dead_letter", dead_letter);
        self.add("dedup_window", &dedup_window.as_nanos());
        self.add(
            "dead_retention",
            &dead_retention.map(|time| time.as_nanos()),
        );
    }

    fn handler(&mut self, handler: &HandlerSpec) {
        let HandlerSpec {
            name,
            path: _,
            grants,
            limits,
            require,
            // The queue's own part says how it gets them.
            batches: _,
            form,
            command,
            sha256,
        } = handler;
        let Grants {
            send_to,
            reply,
            state,
            secrets,
            env,
            config,
        } = grants;
        let HandlerLimits {
            concurrency,
            timeout,
            max_timeout,
            cpu_time,
            memory,
            table_elements,
            output,
            effects,
            max_calls,
        } = limits;
        let EffectLimits {
            max_sends,
            max_send_bytes,
            max_state_keys,
            max_state_bytes,
        } = effects;
        self.add("name", name);
        self.add("send_to", send_to);
        self.add("reply", reply);
        self.add("state", state);
        self.add("secrets", &secrets.keys().collect::<Vec<_>>());
        self.add("env", env);
        self.add("config", config);
        self.add("require", require);
        self.add("form", form);
        self.add("command", command);
        self.add("sha256", sha256);
        self.add("handler_concurrency", concurrency);
        self.add("timeout", &timeout.as_nanos());
        self.add("max_timeout", &max_timeout.as_nanos());
        self.add("cpu_time", &cpu_time.as_nanos());
        self.add("memory", memory);
        self.add("table_elements", table_elements);
        self.add("output", output);
        self.add("max_calls", max_calls);
        self.add("max_sends", max_sends);
        self.add("max_send_bytes", max_send_bytes);
        self.add("max_state_keys", max_state_keys);
        self.add("max_state_bytes", max_state_bytes);
    }
}
