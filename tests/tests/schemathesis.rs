//! The API against its own document, by a tester that makes up requests (Schemathesis): whatever is
//! asked, nothing breaks, and nothing is answered that the document does not know.

use std::process::Command;

use gristmill_tests::{Host, free_port, python_environment};

/// How many requests are made up for each route and phase in the ordinary run; `GRISTMILL_SCHEMATHESIS`
/// asks for more.
const ORDINARY: &str = "2";

const CONFIG: &str = r#"
[host]
log = "warn"
[queue.orders]
max_message_size = "64KiB"
max_messages = 10000
on_full = "drop-oldest"
[queue.invoices]
[topic.events]
queues = ["orders", "invoices"]
[cron.nightly]
schedule = "0 3 * * *"
queue = "orders"
body = "{}"
"#;

#[test]
fn requests_that_are_made_up_break_nothing_and_are_answered_as_the_document_says() {
    let Some(programs) = python_environment("schemathesis").unwrap() else {
        return;
    };
    let port = free_port().unwrap();
    let config = format!("[api]\nlisten = \"127.0.0.1:{port}\"\nauth = \"token\"\n{CONFIG}");
    let mut host = Host::new(&config, &[]).unwrap();
    host.start().unwrap();
    let create = [
        "token",
        "create",
        "st",
        "--can",
        "send,receive,read,manage",
        "--queues",
        "*",
        "--quiet",
    ];
    let token = host.done(&create).unwrap();
    // Something of everything, so that requests meet what is there.
    for (queue, body) in [("orders", "{}"), ("events", "x"), ("invoices", "y")] {
        host.done(&["send", queue, body]).unwrap();
    }
    let examples = std::env::var("GRISTMILL_SCHEMATHESIS").unwrap_or_else(|_| ORDINARY.to_owned());
    let mut command = Command::new(programs.join("schemathesis"));
    command
        .current_dir(host.folder())
        .env("NO_COLOR", "1")
        .args(["run", &format!("http://127.0.0.1:{port}/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", token.trim())])
        .args(["--max-examples", &examples, "--seed", "7", "--request-timeout", "20"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance"])
        // A reply that is waited for, and a copy of everything, would take all the time there is.
        .args(["--exclude-path-regex", "/request$|/requests$|/replies/|/backups$"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    assert!(host.is_running(), "{}", host.log());
    host.done(&["queues"]).unwrap();
}
