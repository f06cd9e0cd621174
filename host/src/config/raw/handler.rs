//! What was typed about a handler.

use std::collections::BTreeMap;
use std::time::Duration;

use bytesize::ByteSize;
use toml::Spanned;

use super::only_keys_of;
use crate::config::defaults;
use crate::config::keys::Table;
use crate::config::problem::Problems;
use crate::config::secrets::{self, RawSecret};
use crate::config::section::{Given, Section};
use crate::runtime::Form;
use crate::runtime::spec::{GuaranteeClass, MaxCalls, OnFailure};

/// `[handler.NAME]`
#[derive(Clone, Default)]
pub struct RawHandler {
    pub send_to: Given<Vec<Spanned<String>>>,
    pub reply: Given<bool>,
    pub state: Given<bool>,
    pub concurrency: Given<u32>,
    pub timeout: Given<Duration>,
    pub max_timeout: Given<Duration>,
    pub cpu_time: Given<Duration>,
    pub memory: Given<ByteSize>,
    pub output: Given<ByteSize>,
    pub max_calls: Given<MaxCalls>,
    pub max_sends: Given<u32>,
    pub max_send_bytes: Given<ByteSize>,
    pub max_state_keys: Given<u32>,
    pub max_state_bytes: Given<ByteSize>,
    pub env: BTreeMap<String, String>,
    pub config: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, RawSecret>,
    pub require: Given<GuaranteeClass>,
    pub form: Given<Form>,
    pub on_failure: Given<OnFailure>,
    pub stdout_to: Given<String>,
    pub sha256: Given<String>,
}

impl RawHandler {
    /// Reads the table of a handler.
    pub fn read(handler: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        const CLASSES: [(&str, GuaranteeClass); 2] = [
            ("at-least-once", GuaranteeClass::AtLeastOnce),
            ("atomic", GuaranteeClass::Atomic),
        ];
        const ON_FAILURE: [(&str, OnFailure); 2] =
            [("retry", OnFailure::Retry), ("reject", OnFailure::Reject)];
        only_keys_of(Table::Handler, handler, &[], problems);
        let send_to = handler.list("send_to", problems);
        if let Some(names) = &send_to {
            handler.note_twice("send_to", names.get_ref(), problems);
        }
        RawHandler {
            send_to,
            reply: handler.flag("reply", problems),
            state: handler.flag("state", problems),
            concurrency: handler.integer("concurrency", &defaults::HANDLER_CONCURRENCY, problems),
            timeout: handler.duration("timeout", &defaults::TIMEOUT.bounds, problems),
            max_timeout: handler.duration("max_timeout", &defaults::MAX_TIMEOUT.bounds, problems),
            cpu_time: handler.duration("cpu_time", &defaults::CPU_TIME.bounds, problems),
            memory: handler.size("memory", &defaults::MEMORY.bounds, problems),
            output: handler.size("output", &defaults::OUTPUT.bounds, problems),
            max_calls: read_max_calls(handler, problems),
            max_sends: handler.integer("max_sends", &defaults::MAX_SENDS.bounds, problems),
            max_send_bytes: handler.size(
                "max_send_bytes",
                &defaults::MAX_SEND_BYTES.bounds,
                problems,
            ),
            max_state_keys: handler.integer(
                "max_state_keys",
                &defaults::MAX_STATE_KEYS.bounds,
                problems,
            ),
            max_state_bytes: handler.size(
                "max_state_bytes",
                &defaults::MAX_STATE_BYTES.bounds,
                problems,
            ),
            env: handler.pairs("env", problems),
            config: handler.pairs("config", problems),
            secrets: secrets::read(handler, problems),
            require: handler.choice("require", &CLASSES, problems),
            form: handler.choice(
                "form",
                &Form::ALL.map(|form| (form.as_str(), form)),
                problems,
            ),
            on_failure: handler.choice("on_failure", &ON_FAILURE, problems),
            stdout_to: handler.text("stdout_to", problems),
            sha256: handler.text("sha256", problems),
        }
    }

    /// What was typed here, or else there; of names with values, both.
    pub fn or(self, other: &RawHandler) -> RawHandler {
        let other = other.clone();
        RawHandler {
            send_to: self.send_to.or(other.send_to),
            reply: self.reply.or(other.reply),
            state: self.state.or(other.state),
            concurrency: self.concurrency.or(other.concurrency),
            timeout: self.timeout.or(other.timeout),
            max_timeout: self.max_timeout.or(other.max_timeout),
            cpu_time: self.cpu_time.or(other.cpu_time),
            memory: self.memory.or(other.memory),
            output: self.output.or(other.output),
            max_calls: self.max_calls.or(other.max_calls),
            max_sends: self.max_sends.or(other.max_sends),
            max_send_bytes: self.max_send_bytes.or(other.max_send_bytes),
            max_state_keys: self.max_state_keys.or(other.max_state_keys),
            max_state_bytes: self.max_state_bytes.or(other.max_state_bytes),
            env: over(other.env, self.env),
            config: over(other.config, self.config),
            secrets: over(other.secrets, self.secrets),
            require: self.require.or(other.require),
            form: self.form,
            on_failure: self.on_failure.or(other.on_failure),
            stdout_to: self.stdout_to,
            sha256: self.sha256,
        }
    }
}

fn over<T>(mut below: BTreeMap<String, T>, above: BTreeMap<String, T>) -> BTreeMap<String, T> {
    below.extend(above);
    below
}

/// `max_calls`: a number, or left to the host.
fn read_max_calls(handler: &Section<'_, '_>, problems: &mut Problems<'_>) -> Given<MaxCalls> {
    const NAME: &str = "max_calls";
    if let Some(word) = handler.raw(NAME)?.get_ref().as_str() {
        let place = handler.raw(NAME)?.span();
        if word == "auto" {
            return Some(Spanned::new(place, MaxCalls::Auto));
        }
        handler.bad(
            NAME,
            place,
            "must be \"auto\" or a whole number",
            None,
            problems,
        );
        return None;
    }
    let calls = handler.integer(NAME, &defaults::MAX_CALLS, problems)?;
    Some(Spanned::new(
        calls.span(),
        MaxCalls::Fixed(calls.into_inner()),
    ))
}
