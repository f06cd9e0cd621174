//! Programs in JavaScript, as they are.

use gristmill_queue::Reason;
use gristmill_queue::effects::Destinations;

use super::*;
use crate::runtime::LoadError;

fn script(change: impl FnOnce(&mut HandlerSpec)) -> HandlerSpec {
    spec(|spec| {
        spec.path = "handlers/orders.js".into();
        change(spec);
    })
}

fn refused(program: &str) -> String {
    let error = runtime()
        .load(&script(|_| {}), program.as_bytes())
        .unwrap_err();
    assert!(
        matches!(error, LoadError::Script { .. }),
        "{program}: {error:?}"
    );
    error.to_string()
}

/// Says by its body what it should do.
const OBEDIENT: &str = r#"import { send, state, reject, retry, retryAfter, postpone } from "gristmill";

let calls = 0;

export function handle(message) {
  calls += 1;
  const deed = message.attributes.deed;
  if (deed === "send") {
    send("invoices", { calls, text: message.text() }, { group: "ä", delay: "1s" });
    state.add("cents", 250);
    console.log("sent", message.id.length);
  }
  if (deed === "throw") throw new TypeError("no card");
  if (deed === "reject") throw reject("worth nothing");
  if (deed === "retry") throw retry("not yet");
  if (deed === "later") throw retryAfter("busy", "1.5s");
  if (deed === "postpone") throw postpone(1500);
  if (deed === "promise") return Promise.resolve();
  if (deed === "random") throw reject(String(Math.random()));
  if (deed === "deep") return deep(0);
  if (deed === "loop") for (;;);
}

function deep(n) {
  return deep(n + 1) + 1;
}
"#;

async fn told(version: &Arc<HandlerVersion>, deed: &str) -> AttemptReport {
    let envelope = Envelope {
        attributes: vec![("deed".to_owned(), deed.to_owned())],
        ..Envelope::default()
    };
    version.run(delivery_of(version, envelope)).await
}

#[tokio::test]
async fn a_program_does_what_its_functions_say() {
    let destinations = Destinations::from([(queue("invoices"), 1 << 20)]);
    let spec = script(|spec| {
        spec.grants.state = true;
        spec.grants.send_to = Arc::new(destinations);
        spec.limits.cpu_time = Duration::from_secs(2);
    });
    // Making a component of a program blocks, as loading may.
    let load = move || runtime().load(&spec, OBEDIENT.as_bytes()).unwrap();
    let version = tokio::task::spawn_blocking(load).await.unwrap();
    assert_eq!(version.exports(), ["gristmill:queue/handler@0.1.0"]);
    let own = |import: &&String| import.starts_with("gristmill:") || import.starts_with("local:");
    let imports: Vec<&String> = version.imports().iter().filter(own).collect();
    assert_eq!(
        imports,
        [
            "gristmill:queue/types@0.1.0",
            "gristmill:queue/producer@0.1.0",
            "gristmill:queue/state@0.1.0"
        ]
    );

    let report = told(&version, "send").await;
    assert_eq!(report.outcome, Outcome::Done);
    let sent = &report.effects.sends[0];
    assert_eq!(&sent.message.body[..], br#"{"calls":1,"text":"{}"}"#);
    assert_eq!(sent.message.envelope.group.as_deref(), Some("ä"));

    let (reason, error) = (told(&version, "throw").await, "TypeError: no card");
    let (reason, told_error) = failed(&reason);
    assert_eq!(reason, "retry");
    assert!(told_error.starts_with(error), "{told_error}");
    assert!(told_error.contains("handle (orders.js:13:"), "{told_error}");
    let table = [
        (
            "reject",
            Outcome::Rejected {
                error: "worth nothing".to_owned(),
            },
        ),
        (
            "retry",
            Outcome::Failed {
                reason: Reason::Retry,
                error: "not yet".to_owned(),
                delay: None,
            },
        ),
        (
            "later",
            Outcome::Failed {
                reason: Reason::Retry,
                error: "busy".to_owned(),
                delay: Some(Duration::from_millis(1500)),
            },
        ),
        (
            "postpone",
            Outcome::Postponed {
                delay: Duration::from_millis(1500),
            },
        ),
        ("nothing", Outcome::Done),
    ];
    for (deed, expected) in table {
        assert_eq!(told(&version, deed).await.outcome, expected, "{deed}");
    }
    let promise = told(&version, "promise").await;
    assert!(
        failed(&promise).1.contains("returned a promise"),
        "{promise:?}"
    );
    let deep = told(&version, "deep").await;
    assert!(failed(&deep).1.contains("stack"), "{deep:?}");
    let looping = told(&version, "loop").await;
    assert_eq!(failed(&looping).0, "cpu-limit", "{looping:?}");
    // Each instance begins from the same memory, and still draws numbers of its own.
    let (one, other) = (
        told(&version, "random").await,
        told(&version, "random").await,
    );
    assert_ne!(one.outcome, other.outcome);
}

#[test]
fn what_is_wrong_with_a_program_is_said_with_its_place() {
    for (program, place, words) in [
        (
            "export function handle(message) {\n  return message.;\n}\n",
            "orders.js:2:18: expecting field name",
            "\n  |   return message.;\n  |                  ^",
        ),
        (
            "const limits = null;\nexport const most = limits.most;\nexport function handle() {}\n",
            "orders.js:2:",
            "cannot read property 'most' of null",
        ),
        (
            "export function handel() {}",
            "orders.js exports no function `handle`",
            "it exports handel",
        ),
        (
            "",
            "orders.js exports no function `handle`",
            "it exports nothing",
        ),
        (
            "export async function handle() {}",
            "orders.js: `handle` must not be async",
            "",
        ),
        (
            "import { tax } from \"./tax.js\";\nexport function handle() {}",
            "orders.js imports \"./tax.js\"",
            "a plain file can import nothing but \"gristmill\"",
        ),
        (
            "import { snd } from \"gristmill\";\nexport function handle() {}",
            "orders.js: Could not find export 'snd' in module \"gristmill\"",
            "",
        ),
        (
            "throw 42;\nexport function handle() {}",
            "orders.js: its top level threw Int(42)",
            "",
        ),
    ] {
        let problem = refused(program);
        assert!(
            problem.starts_with(place) && problem.contains(words),
            "{program}: {problem}"
        );
        assert!(!problem.contains("/gristmill/"), "{problem}");
    }
    let error = runtime().load(&script(|_| {}), b"\xff").unwrap_err();
    assert_eq!(
        error.to_string(),
        "orders.js is not text: the byte at 0 is not UTF-8"
    );
}

#[test]
fn what_a_program_uses_has_to_be_granted() {
    let program = "import { state } from \"gristmill\";\nexport function handle() {}";
    let error = runtime().load(&script(|_| {}), program.as_bytes());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("orders.js imports gristmill:queue/state@0.1.0, but it is not granted"),
        "{error}"
    );
}
