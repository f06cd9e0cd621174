//! The rules between a handler's keys, and between handlers and queues.
//!
//! The second half of [`check`](super::check): it needs the queues, which are built first.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use gristmill_queue::QueueName;
use gristmill_queue::effects::{Destinations, EffectLimits};
use toml::Spanned;

use super::check::{LESS, beyond_host, or_default, place, value};
use super::modules::{Modules, handler_of, stem};
use super::problem::Problems;
use super::raw::RawHandler;
use super::section::Given;
use super::value::Show;
use super::{HostConfig, Surroundings, defaults, secrets, spelling};
use crate::runtime::spec::{
    CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls,
};

/// What handlers are checked against.
pub struct HandlerChecks<'b, 't> {
    pub base: &'b Path,
    pub host: &'b HostConfig,
    pub modules: &'b Modules,
    pub destinations: &'b super::check_topic::Destinations<'b>,
    pub around: &'b Surroundings<'b>,
    pub problems: &'b mut Problems<'t>,
}

impl HandlerChecks<'_, '_> {
    /// The handlers that have a table, and those that only a queue names.
    pub fn handlers(
        &mut self,
        raw: Vec<(Spanned<String>, RawHandler)>,
        shared: &RawHandler,
    ) -> BTreeMap<String, HandlerSpec> {
        let mut handlers = BTreeMap::new();
        for (name, handler) in raw {
            if !self.check_name(&name) {
                continue;
            }
            let spec = self.handler(name.get_ref(), handler.or(shared));
            handlers.insert(name.into_inner(), spec);
        }
        let used: Vec<&String> = self
            .destinations
            .queues
            .values()
            .filter_map(|queue| queue.handler.as_ref())
            .collect();
        for name in used {
            if !handlers.contains_key(name) {
                let spec = self.handler(name, RawHandler::default().or(shared));
                handlers.insert(name.clone(), spec);
            }
        }
        handlers
    }

    /// Whether the handler can have this name. Warns if no queue names it.
    fn check_name(&mut self, name: &Spanned<String>) -> bool {
        let text = name.get_ref();
        let key = format!("handler.{}", spelling::quoted(text));
        let file = format!("{text}.wasm");
        if let Err(cure) = handler_of(&file) {
            let message = format!("{text:?} cannot be the name of a handler");
            self.problems.error(name.span(), &key, message, cure);
            return false;
        }
        let used = || {
            self.destinations
                .queues
                .values()
                .filter_map(|queue| queue.handler.as_deref())
        };
        if !used().any(|handler| handler == text) {
            let cure = if let Some(stem) = stem(text) {
                format!(
                    "write [handler.{}]: the name goes without {}",
                    spelling::quoted(stem),
                    &text[stem.len()..]
                )
            } else if let Some(cure) = spelling::did_you_mean(text, used()) {
                cure
            } else {
                format!("write handler = \"{file}\" in the queue's table, or remove this one")
            };
            let message = format!("no queue names `{key}`");
            self.problems.warning(name.span(), &key, message, cure);
        }
        true
    }

    fn handler(&mut self, name: &str, raw: RawHandler) -> HandlerSpec {
        let key = |leaf: &str| format!("handler.{}.{leaf}", spelling::quoted(name));
        let sha256 = raw.sha256.as_ref().and_then(|given| {
            let digest = digest(given.get_ref());
            if digest.is_none() {
                let key = key("sha256");
                let message = format!("`{key}` is not a SHA-256");
                let cure = "write the 64 hexadecimal digits that `sha256sum` shows".to_owned();
                self.problems.error(given.span(), &key, message, cure);
            }
            digest
        });
        let stdout_to = self.destination(raw.stdout_to.as_ref(), &key("stdout_to"));
        HandlerSpec {
            name: name.to_owned(),
            path: self.host.handlers.join(self.modules.file(name)),
            limits: self.limits(&raw, &key),
            require: value(&raw.require).unwrap_or(GuaranteeClass::AtLeastOnce),
            batches: self.batches(name),
            form: value(&raw.form),
            command: CommandRules {
                on_failure: value(&raw.on_failure).unwrap_or_default(),
                stdout_to: stdout_to.as_ref().map(|(queue, _)| queue.clone()),
            },
            sha256,
            grants: Grants {
                send_to: Arc::new(self.destinations(&raw, stdout_to, &key)),
                reply: value(&raw.reply).unwrap_or(false),
                state: value(&raw.state).unwrap_or(false),
                secrets: secrets::fetch(&raw.secrets, self.base, self.around, self.problems),
                env: raw.env,
                config: raw.config,
            },
        }
    }

    /// The queues that give a handler batches.
    fn batches(&self, handler: &str) -> Vec<QueueName> {
        let queues = self.destinations.queues.iter().filter(|(_, queue)| {
            queue.batch.is_some() && queue.handler.as_deref() == Some(handler)
        });
        queues.map(|(name, _)| name.clone()).collect()
    }

    /// The queues and topics a handler may send to, with the most each takes.
    fn destinations(
        &mut self,
        raw: &RawHandler,
        stdout_to: Option<(QueueName, u64)>,
        key: &dyn Fn(&str) -> String,
    ) -> Destinations {
        let names = raw.send_to.iter().flat_map(|names| names.get_ref());
        let found = names.filter_map(|name| self.destination(Some(name), &key("send_to")));
        found.chain(stdout_to).collect()
    }

    /// One of them; notes a name that is none.
    fn destination(
        &mut self,
        name: Option<&Spanned<String>>,
        key: &str,
    ) -> Option<(QueueName, u64)> {
        let name = name?;
        let found = self.destinations.find(name.get_ref());
        if found.is_none() {
            let cure = self.destinations.cure(name.get_ref());
            let message = format!("`{key}`: no queue or topic is named {:?}", name.get_ref());
            self.problems.error(name.span(), key, message, cure);
        }
        found
    }

    /// Warns of more at once than the host runs.
    fn check_concurrency(&mut self, raw: &RawHandler, key: &dyn Fn(&str) -> String) {
        if let Some(given) = &raw.concurrency
            && *given.get_ref() > self.host.max_in_flight
        {
            let key = key("concurrency");
            let message = beyond_host(&key, self.host);
            self.problems
                .warning(given.span(), &key, message, LESS.to_owned());
        }
    }

    fn limits(&mut self, raw: &RawHandler, key: &dyn Fn(&str) -> String) -> HandlerLimits {
        let timeout = or_default(&raw.timeout, &defaults::TIMEOUT);
        let max_timeout =
            value(&raw.max_timeout).unwrap_or(defaults::MAX_TIMEOUT.default.max(timeout));
        let spoilt = ["timeout", "max_timeout"].map(key);
        if max_timeout < timeout
            && !self.problems.blame(&spoilt)
            && let Some(place) = place(&raw.max_timeout, &raw.timeout)
        {
            let key = key("max_timeout");
            let message = format!(
                "`{key}`, {}, is less than the timeout, {}",
                max_timeout.show(),
                timeout.show()
            );
            self.problems.error(
                place,
                &key,
                message,
                "raise it, or lower `timeout`".to_owned(),
            );
        }
        self.check_concurrency(raw, key);
        let count = |given: &Given<u32>, setting| or_default(given, setting) as usize;
        HandlerLimits {
            concurrency: value(&raw.concurrency).and_then(NonZeroU32::new),
            timeout,
            max_timeout,
            cpu_time: or_default(&raw.cpu_time, &defaults::CPU_TIME),
            memory: or_default(&raw.memory, &defaults::MEMORY).as_u64(),
            table_elements: defaults::TABLE_ELEMENTS,
            output: usize::try_from(or_default(&raw.output, &defaults::OUTPUT).as_u64())
                .unwrap_or(usize::MAX),
            effects: EffectLimits {
                max_sends: count(&raw.max_sends, &defaults::MAX_SENDS),
                max_send_bytes: or_default(&raw.max_send_bytes, &defaults::MAX_SEND_BYTES).as_u64(),
                max_state_keys: count(&raw.max_state_keys, &defaults::MAX_STATE_KEYS),
                max_state_bytes: or_default(&raw.max_state_bytes, &defaults::MAX_STATE_BYTES)
                    .as_u64(),
            },
            max_calls: value(&raw.max_calls).unwrap_or(MaxCalls::Auto),
        }
    }
}

/// 32 bytes from 64 hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}
