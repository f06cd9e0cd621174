//! The SDKs over the wire: their own tests, in their own runners and without a host, and that what they say of
//! the wire is what the interface says.

use std::path::Path;
use std::process::Command;

use gristmill_tests::clients::finish;
use gristmill_tests::{has, native, toolchains, workspace};
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

const LIBRARY: [&str; 3] = [
    "sdk/c/gristmill.c",
    "sdk/c/gristmill_json.c",
    "sdk/c/testing/gristmill_testing.c",
];
/// What a mistake in memory would be noticed by.
const CHECKED: [&str; 4] = ["-g", "-Wall", "-Wextra", "-fsanitize=address,undefined"];

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap()
}

/// Builds a program of these files with the compiler of this machine, and runs it.
fn run(compiler: &str, standard: &str, files: &[&str]) {
    if !has(compiler) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tests");
    let mut build = Command::new(compiler);
    build.arg(standard).args(CHECKED).arg("-Werror");
    for folder in ["sdk/c", "sdk/c/testing", "sdk/cpp"] {
        build.arg("-I").arg(workspace().join(folder));
    }
    build.args(files).arg("-o").arg(&program);
    finish(build.current_dir(workspace())).unwrap();
    let said = finish(&mut Command::new(&program)).unwrap();
    assert!(said.contains("tests passed"), "{said}");
}

#[test]
fn the_sdk_for_c_passes_its_tests_and_so_does_the_example() {
    let c = |files: &[&str]| run("cc", "-std=c11", &[files, &LIBRARY].concat());
    c(&["sdk/c/tests/test_sdk.c"]);
    let example = ["orders.c", "test_orders.c"].map(|file| format!("sdk/c/examples/orders/{file}"));
    c(&example.each_ref().map(String::as_str));
}

#[test]
fn the_sdk_for_cpp_passes_its_tests_and_so_does_the_example() {
    let library = ["sdk/cpp/gristmill.cpp", LIBRARY[2]];
    let cpp = |files: &[&str]| run("c++", "-std=c++23", &[files, &library].concat());
    cpp(&["sdk/cpp/tests/test_sdk.cpp"]);
    let example =
        ["orders.cpp", "test_orders.cpp"].map(|file| format!("sdk/cpp/examples/orders/{file}"));
    cpp(&example.each_ref().map(String::as_str));
}

#[test]
fn the_sdk_for_zig_passes_its_tests_and_so_does_the_example() {
    for file in ["sdk/zig/tests.zig", "sdk/zig/examples/orders/orders.zig"] {
        native::zig_tests(file).unwrap();
    }
}

#[test]
fn the_sdk_for_go_passes_its_tests_and_so_does_the_example() {
    let Some(native) = toolchains::native().unwrap() else {
        return;
    };
    for folder in ["sdk/go", "sdk/go/examples/orders"] {
        let mut go = native.go();
        go.env("CGO_ENABLED", "0").args(["test", "./..."]);
        finish(go.current_dir(workspace().join(folder))).unwrap();
    }
}

/// A record of the interface, as the canonical ABI lays it out: its size, and where its fields are.
fn layout(resolve: &Resolve, sizes: &SizeAlign, record: &str) -> (usize, Vec<(String, usize)>) {
    let mut types = resolve.types.iter();
    let (id, found) = types
        .find(|(_, found)| found.name.as_deref() == Some(record))
        .unwrap();
    let TypeDefKind::Record(fields) = &found.kind else {
        panic!("{record} is no record");
    };
    let offsets = sizes.field_offsets(fields.fields.iter().map(|field| &field.ty));
    let offsets = offsets.iter().zip(&fields.fields);
    let offsets = offsets.map(|((offset, _), field)| (field.name.clone(), offset.size_wasm32()));
    (sizes.size(&Type::Id(id)).size_wasm32(), offsets.collect())
}

fn interface() -> (Resolve, SizeAlign) {
    let mut resolve = Resolve::default();
    resolve
        .push_str(Path::new("queue.wit"), &read("wit/queue.wit"))
        .unwrap();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve);
    (resolve, sizes)
}

/// The SDKs have the interface written by hand. When this fails, the interface has changed: change
/// `sdk/c/gristmill_abi.h`, `sdk/go/internal/host/wasm.go` and `sdk/assemblyscript/gristmill/index.ts` with it.
#[test]
fn records_are_laid_out_as_the_sdks_have_them() {
    let (resolve, sizes) = interface();
    let (size, fields) = layout(&resolve, &sizes, "message");
    let fields: Vec<(&str, usize)> = fields.iter().map(|(n, at)| (n.as_str(), *at)).collect();
    assert_eq!(size, 184);
    assert_eq!(
        fields,
        [
            ("id", 0),
            ("queue", 8),
            ("body", 16),
            ("content-type", 24),
            ("attributes", 36),
            ("group", 44),
            ("correlation-id", 56),
            ("causation-id", 68),
            ("reply-to", 80),
            ("message-type", 92),
            ("schema-version", 104),
            ("source", 116),
            ("priority", 128),
            ("trace", 132),
            ("enqueued-at", 152),
            ("expires-at", 160),
            ("attempt", 176),
        ]
    );
    // Behind the queue it goes to, which has 8 bytes.
    let (size, fields) = layout(&resolve, &sizes, "outgoing");
    let fields: Vec<(&str, usize)> = fields.iter().map(|(n, at)| (n.as_str(), at + 8)).collect();
    assert_eq!(size + 8, 144);
    assert_eq!(
        fields,
        [
            ("body", 8),
            ("content-type", 16),
            ("attributes", 28),
            ("group", 36),
            ("correlation-id", 48),
            ("reply-to", 60),
            ("message-type", 72),
            ("schema-version", 84),
            ("priority", 96),
            ("dedup-id", 100),
            ("delay", 112),
            ("ttl", 128),
        ]
    );
    for header in ["sdk/c/gristmill_abi.h", "sdk/go/internal/host/wasm.go"] {
        let text = read(header);
        assert!(text.contains("184") && text.contains("144"), "{header}");
    }
}

/// The cases of a variant or enum, in their order, which is what goes over the wire.
#[test]
fn cases_are_in_the_order_that_the_sdks_have() {
    let (resolve, _) = interface();
    let cases = |interface: &str, name: &str| -> Vec<String> {
        let mut types = resolve.types.iter();
        let (_, found) = types
            .find(|(_, found)| {
                let wit_parser::TypeOwner::Interface(owner) = found.owner else {
                    return false;
                };
                found.name.as_deref() == Some(name)
                    && resolve.interfaces[owner].name.as_deref() == Some(interface)
            })
            .unwrap();
        match &found.kind {
            TypeDefKind::Variant(variant) => variant.cases.iter().map(|c| c.name.clone()).collect(),
            TypeDefKind::Enum(cases) => cases.cases.iter().map(|case| case.name.clone()).collect(),
            other => panic!("{name} is {other:?}"),
        }
    };
    for (interface, name, expected) in [
        ("types", "failure", "retry retry-after reject postpone"),
        (
            "producer",
            "send-error",
            "not-permitted no-recipient too-large too-many invalid",
        ),
        (
            "state",
            "error",
            "invalid-key too-large quota-exceeded not-a-counter unavailable",
        ),
        ("body", "error", "not-delivered unavailable"),
        ("delivery", "extend-error", "limit-reached ending"),
    ] {
        assert_eq!(
            cases(interface, name).join(" "),
            expected,
            "{interface}.{name}"
        );
    }
}
