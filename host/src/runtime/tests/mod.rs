//! Tests of the sandbox, with guests in WAT.

mod batches;
mod calls;
mod commands;
mod forms;
pub(crate) mod guests;
mod host;
mod interface;
#[cfg(feature = "javascript")]
mod javascript;
mod limits;
mod loading;
mod preview1;
mod requests;
mod reuse;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gristmill_queue::{Envelope, IdSource, Message, Outcome, QueueName, Timestamp, Transaction};

use super::rehearsal::Nothing;
use super::spec::{CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls};
use super::{
    AttemptReport, CompileMode, Delivery, EndingFlag, HandlerVersion, Runtime, RuntimeOptions,
};

/// One sandbox for most tests.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    &RUNTIME
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            (runtime_in(&dir, 32), dir)
        })
        .0
}

pub(crate) fn runtime_in(dir: &tempfile::TempDir, max_instances: u32) -> Runtime {
    let mut options = RuntimeOptions::new(dir.path().join("cwasm"), CompileMode::InProcess);
    options.max_instances = max_instances;
    Runtime::new(options).unwrap()
}

pub(crate) fn spec(change: impl FnOnce(&mut HandlerSpec)) -> HandlerSpec {
    let mut spec = HandlerSpec {
        name: "orders".to_owned(),
        path: "handlers/orders.wasm".into(),
        grants: Grants::default(),
        limits: HandlerLimits {
            max_calls: MaxCalls::Fixed(1),
            ..HandlerLimits::default()
        },
        require: GuaranteeClass::AtLeastOnce,
        batches: Vec::new(),
        form: None,
        command: CommandRules::default(),
        sha256: None,
    };
    change(&mut spec);
    spec
}

fn load(module: &[u8], change: impl FnOnce(&mut HandlerSpec)) -> Arc<HandlerVersion> {
    runtime().load(&spec(change), module).unwrap()
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn delivery(version: &HandlerVersion) -> Delivery {
    delivery_of(version, Envelope::default())
}

fn delivery_of(version: &HandlerVersion, envelope: Envelope) -> Delivery {
    let ids = Arc::new(IdSource::new(1, 7));
    let now = Timestamp::from_unix_ms(1_763_640_000_000);
    Delivery {
        message: Arc::new(Message {
            id: ids.mint(now),
            queue: queue("orders"),
            enqueued_at: now,
            expires_at: None,
            envelope,
            body: "{}".into(),
            blob: None,
        }),
        attempt: 1,
        max_attempts: Some(10),
        previous_failure: None,
        transaction: Transaction::new(
            Arc::new(Nothing),
            ids,
            Arc::clone(&version.spec().grants.send_to),
            version.spec().limits.effects,
            now,
        ),
        ending: EndingFlag::default(),
        large: None,
        fresh: false,
    }
}

async fn run(version: &Arc<HandlerVersion>) -> AttemptReport {
    version.run(delivery(version)).await
}

fn failed(report: &AttemptReport) -> (&'static str, &str) {
    match &report.outcome {
        Outcome::Failed { reason, error, .. } => (reason.as_str(), error),
        other => panic!("{other:?}"),
    }
}
