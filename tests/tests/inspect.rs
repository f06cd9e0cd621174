//! `gristmill handlers inspect`: what a person learns of a module before it serves.

use std::fs;
use std::path::Path;

use gristmill_tests::{Host, guests};

const ORDER: &str = r#"{"id":"7","customer":"ada","currency":"EUR","lines":[{"sku":"mill","quantity":2,"unit_price_cents":1250}]}"#;

/// A folder without a configuration.
fn nowhere() -> Host {
    let host = Host::new("", &[]).unwrap();
    fs::remove_file(host.folder().join("gristmill.toml")).unwrap();
    host
}

fn path(module: &Path) -> &str {
    module.to_str().unwrap()
}

#[test]
fn what_a_module_asks_for_comes_with_the_configuration_that_grants_it() {
    let host = nowhere();
    let module = guests().unwrap().path("orders");
    let inspect = ["handlers", "inspect", path(&module)];
    let shown = host.done(&inspect).unwrap();
    for expected in [
        "format       component, ",
        "language     Rust",
        "form         queue\n",
        "takes        one message at a time\n",
        "guarantee    atomic: ",
        "fresh for each message: instantiation takes",
        "  to send messages: send_to = [\"…\"] or reply = true  (gristmill:queue/producer@0.1.0)\n",
        "  to keep a state: state = true  (gristmill:queue/state@0.1.0)\n",
        "  gristmill:queue/handler@0.1.0\n",
        "  [queue.orders]\n  handler = \"orders.wasm\"\n",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in\n{shown}"
        );
    }

    let found = host.json(&inspect).unwrap();
    assert!(found["version"]["compile_ms"].is_u64() && found["call"].is_null());
    host.configure(found["toml"].as_str().unwrap()).unwrap();
    host.install("orders", "orders").unwrap();
    host.done(&["check", "--strict"]).unwrap();
    let shown = host
        .done(&["handlers", "inspect", "handlers/orders.wasm"])
        .unwrap();
    assert!(
        shown.contains("granted by this configuration") && !shown.contains("NOT granted"),
        "{shown}"
    );
}

#[test]
fn a_call_shows_what_a_handler_does_and_keeps_nothing_of_it() {
    let host = nowhere();
    let module = guests().unwrap().path("orders");
    let call = ["handlers", "inspect", path(&module), "--call"];
    let shown = host.done(&[&call[..], &[ORDER]].concat()).unwrap();
    for expected in [
        "  outcome      done\n",
        "  fresh call   ",
        "  reused call  ",
        "  to invoices, group ada: {\"cents\":2500,",
        "  customer/ada/cents += 2500\n",
        "  send_to = [\"invoices\", \"notifications\"]\n",
        "  [queue.notifications]\n",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in\n{shown}"
        );
    }
    assert!(!host.data().join("store.redb").exists());

    let refused = host.run(&[&call[..], &["not an order"]].concat()).unwrap();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stdout.contains("  outcome      rejected\n"),
        "{}",
        refused.stdout
    );
    assert!(!refused.stdout.contains("it would send"));
}

#[test]
fn a_newcomer_is_told_what_is_wrong_with_a_file() {
    let host = nowhere();
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let table: [(&str, Vec<u8>, &[&str]); 4] = [
        (
            "notes.txt",
            b"buy milk".to_vec(),
            &["format       no WebAssembly", "is not WebAssembly"],
        ),
        (
            "plain.wasm",
            wat(r#"(module (@producers (language "Zig" "0.17")))"#),
            &[
                "format       core module",
                "language     Zig 0.17",
                "core module",
            ],
        ),
        (
            "empty.wasm",
            wat("(component)"),
            &[
                "format       component",
                "is not a handler",
                "exports nothing",
            ],
        ),
        (
            "browser.wasm",
            wat(r#"(component (import "wasi:http/outgoing-handler@0.2.0" (instance)))"#),
            &["outgoing-handler", "HTTP"],
        ),
    ];
    for (name, content, expected) in table {
        fs::write(host.folder().join(name), content).unwrap();
        let output = host.run(&["handlers", "inspect", name]).unwrap();
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.code, Some(1), "{said}");
        for words in expected {
            assert!(said.contains(words), "{words:?} is missing in\n{said}");
        }
    }
    let missing = host.run(&["handlers", "inspect", "nothing.wasm"]).unwrap();
    assert_eq!(missing.code, Some(4));
}
