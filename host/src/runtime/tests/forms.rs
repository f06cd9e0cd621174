//! Which form a module has, and what is said if it has none.

use super::*;
use crate::runtime::Form;

fn refused(text: &str, change: impl FnOnce(&mut HandlerSpec)) -> String {
    let module = wat::parse_str(text).unwrap();
    let refused = runtime().load(&spec(change), &module);
    refused.unwrap_err().to_string()
}

/// A component with empty interfaces of these names.
fn exporting(interfaces: &[&str]) -> String {
    let exports = interfaces.iter();
    let exports: String = exports
        .map(|interface| format!("(export \"{interface}\" (instance $i))"))
        .collect();
    format!("(component (instance $i) {exports})")
}

#[test]
fn several_forms_are_refused_with_how_to_choose() {
    let both = exporting(&["wasi:http/incoming-handler@0.2.0", "wasi:cli/run@0.2.0"]);
    assert_eq!(
        refused(&both, |_| {}),
        "orders.wasm has several forms, http, command: it exports wasi:http/incoming-handler@0.2.0, \
         wasi:cli/run@0.2.0. Say which one is meant: add `form = \"http\"`, or another of them, to its \
         [handler.…]"
    );
    // It is that one then, and what is missing of it is said.
    let chosen = refused(&both, |spec| spec.form = Some(Form::Command));
    assert!(
        chosen.starts_with("orders.wasm does not fit this host: "),
        "{chosen}"
    );
    assert_eq!(
        refused(&both, |spec| spec.form = Some(Form::Queue)),
        "orders.wasm has not the form \"queue\", which its [handler.…] asks for: it does not export \
         gristmill:queue/handler. It exports wasi:http/incoming-handler@0.2.0, wasi:cli/run@0.2.0. Remove \
         `form`, or build it for that interface"
    );
}

#[test]
fn no_form_is_refused_with_all_that_there_are() {
    assert_eq!(
        refused(&exporting(&["my:own/api@1.0.0"]), |_| {}),
        "orders.wasm is not a handler: it exports my:own/api@1.0.0, and none of gristmill:queue/handler, \
         wasi:messaging/incoming-handler, wasi:http/incoming-handler, wasi:cli/run. Build it against the \
         gristmill SDK of its language, or as a program with a `main`"
    );
    assert_eq!(
        refused(
            "(module (func (export \"_initialize\")) (memory (export \"memory\") 1))",
            |_| {}
        ),
        "orders.wasm is a core module without `_start`, so it is no program. It exports _initialize, memory. \
         Build it with a `main`, as a WASI program; or make it a component: for wasm32-wasip2, or with \
         `wasm-tools component new`"
    );
}

#[test]
fn a_module_for_another_interface_says_so_by_itself() {
    let table = [
        (
            "gristmill:queue/handler@0.2.0",
            "this host calls gristmill:queue/handler@0.1.x: update the host, or build it with an older SDK",
        ),
        (
            "wasi:messaging/incoming-handler@0.3.0",
            "this host calls wasi:messaging/incoming-handler@0.2.0-draft: build it against that draft",
        ),
        (
            "wasi:cli/run@0.3.0",
            "this host calls wasi:cli/run@0.2.x: build it for WASI 0.2",
        ),
        (
            "wasi:http/incoming-handler@0.2.0-rc-2023-12-05",
            "this host calls wasi:http/incoming-handler@0.2.x: build it for WASI 0.2",
        ),
    ];
    for (export, expected) in table {
        assert_eq!(
            refused(&exporting(&[export]), |_| {}),
            format!(
                "orders.wasm was built for another interface: it exports {export}, and {expected}"
            )
        );
    }
}

#[test]
fn what_only_programs_have_is_refused_for_others() {
    let change = |spec: &mut HandlerSpec| spec.command.stdout_to = Some(queue("out"));
    let loaded = runtime().load(&spec(change), &guests::ok());
    assert_eq!(
        loaded.unwrap_err().to_string(),
        "orders.wasm does not fit this host: [handler.orders] has `stdout_to = \"out\"`, which is for \
         programs, but its form is queue: remove `stdout_to`"
    );
    let start = "(module (func (export \"_start\")) (memory (export \"memory\") 1))";
    let batched = |spec: &mut HandlerSpec| spec.batches.push(queue("orders"));
    let text = refused(start, batched);
    assert!(text.contains("does not take batches"), "{text}");
}

#[test]
fn a_program_that_needs_more_than_wasi_is_refused() {
    let importing = |module: &str| {
        format!(
            "(module (import \"{module}\" \"f\" (func)) (func (export \"_start\")) (memory (export \"memory\") 1))"
        )
    };
    assert_eq!(
        refused(&importing("env"), |_| {}),
        "orders.wasm imports env.f, but this host does not know it: build the handler without it"
    );
    assert_eq!(
        refused(&importing("wasi_unstable"), |_| {}),
        "orders.wasm imports wasi_unstable.f, but it is older than what this host serves: build it for WASI \
         preview 1 (wasm32-wasip1) or later"
    );
    assert!(
        refused(&importing("wasi_snapshot_preview1"), |_| {}).contains("does not fit this host: ")
    );
}
