//! The sandbox: a delivery from taking an instance to the effects that it leaves.
//!
//! The handler is the one of the benchmarks, which parses an order and sends its sum.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use gristmill::runtime::spec::{
    CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls,
};
use gristmill::runtime::{CompileMode, Delivery, EndingFlag, Runtime, RuntimeOptions};
use gristmill_queue::effects::{EffectLimits, StateReader, StateUnavailable, StateValue};
use gristmill_queue::{Envelope, IdSource, Message, Outcome, QueueName, Timestamp, Transaction};

use crate::figures::kept;

const ORDER: &str = r#"{"id":"o-17","customer":"c-7","lines":[
    {"sku":"A-1","quantity":2,"unit_price_cents":1250},
    {"sku":"A-1","quantity":2,"unit_price_cents":1250},
    {"sku":"A-1","quantity":2,"unit_price_cents":1250}]}"#;

/// A handler without state never asks for it.
struct NoState;

impl StateReader for NoState {
    fn get(&self, _key: &str) -> Result<Option<StateValue>, StateUnavailable> {
        Ok(None)
    }

    fn list(
        &self,
        _prefix: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<String>, StateUnavailable> {
        Ok(Vec::new())
    }
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// The handler, built if need be, where the tests from end to end have theirs.
fn module() -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let guests = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../guests");
    let built = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--package", "bench"])
        .args(["--target", "wasm32-wasip2", "--profile", "handler"])
        .arg("--target-dir")
        .arg(&guests)
        .current_dir(workspace)
        .status();
    assert!(
        built.is_ok_and(|built| built.success()),
        "the handler does not build: the compiler says why above"
    );
    guests.join("wasm32-wasip2/handler/bench.wasm")
}

/// Where the count finds the handler: it must not wait for Cargo.
const HANDLER: &str = "handler.wasm";

fn spec(calls: u32) -> HandlerSpec {
    HandlerSpec {
        name: "counted".to_owned(),
        path: HANDLER.into(),
        grants: Grants {
            send_to: Arc::new([(queue("out"), 256 * 1024)].into()),
            ..Grants::default()
        },
        limits: HandlerLimits {
            max_calls: MaxCalls::Fixed(calls),
            ..HandlerLimits::default()
        },
        require: GuaranteeClass::default(),
        batches: Vec::new(),
        form: None,
        command: CommandRules::default(),
        sha256: None,
    }
}

/// So many deliveries, one after the other, to instances that serve so often.
pub fn deliver(deliveries: u32, calls: u32) {
    let handler = kept().join(HANDLER);
    if !handler.exists() {
        std::fs::copy(module(), &handler).unwrap();
    }
    let mut options = RuntimeOptions::new(kept().join("compiled"), CompileMode::InProcess);
    options.max_instances = 1;
    let runtime = Runtime::new(options).unwrap();
    let module = std::fs::read(handler).unwrap();
    let spec = spec(calls);
    let version = runtime.load(&spec, &module).unwrap();
    let ids = Arc::new(IdSource::new(1, 7));
    let now = Timestamp::from_unix_ms(1_700_000_000_000);
    let message = Arc::new(Message {
        id: ids.mint(now),
        queue: queue("in"),
        enqueued_at: now,
        expires_at: None,
        envelope: Envelope::default(),
        body: ORDER.into(),
        blob: None,
    });
    let state: Arc<dyn StateReader> = Arc::new(NoState);
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    threads.block_on(async {
        for _ in 0..deliveries {
            let transaction = Transaction::new(
                Arc::clone(&state),
                Arc::clone(&ids),
                Arc::clone(&spec.grants.send_to),
                EffectLimits::default(),
                now,
            );
            let report = version.run(Delivery {
                message: Arc::clone(&message),
                attempt: 1,
                max_attempts: Some(10),
                previous_failure: None,
                transaction,
                ending: EndingFlag::default(),
                fresh: false,
                large: None,
            });
            let report = report.await;
            assert_eq!(report.outcome, Outcome::Done);
            assert_eq!(report.effects.sends.len(), 1);
        }
    });
}
