//! What may be loaded.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::guests::{HTTP, PRODUCER, STATE, component};
use super::*;
use crate::runtime::LoadError;

fn refused(module: &[u8], change: impl FnOnce(&mut HandlerSpec)) -> String {
    runtime()
        .load(&spec(change), module)
        .unwrap_err()
        .to_string()
}

#[test]
fn an_import_that_is_not_granted_is_named_with_its_cure() {
    let body = "(func $handle (param i32) (result i32) i32.const 1024)";
    let table = [
        (
            component(&[STATE], body),
            "orders.wasm imports gristmill:queue/state@0.1.0, but it is not granted: add `state = true` to [handler.orders]",
        ),
        (
            component(&[PRODUCER], body),
            "gristmill:queue/producer@0.1.0, but it is not granted: add `send_to = [\"…\"]` or `reply = true` to [handler.orders]",
        ),
        (
            component(&[HTTP], body),
            "wasi:http/types@0.2.0, but no handler has HTTP to elsewhere: let it send to a queue, and have a program \
             outside receive from that; or build it without. A handler of requests (the form http) exports \
             wasi:http/incoming-handler",
        ),
    ];
    for (module, expected) in table {
        let text = refused(&module, |_| {});
        assert!(text.contains(expected), "{text}");
    }
    // All at once.
    let both = refused(&component(&[STATE, PRODUCER, HTTP], body), |spec| {
        spec.grants.state = true;
    });
    assert_eq!(both.lines().count(), 2, "{both}");
    let granted = load(&component(&[STATE], body), |spec| spec.grants.state = true);
    assert!(
        granted
            .imports()
            .contains(&"gristmill:queue/state@0.1.0".to_owned())
    );
    assert_eq!(granted.exports(), ["gristmill:queue/handler@0.1.0"]);
    assert_eq!(granted.guarantee(), GuaranteeClass::Atomic);
}

#[test]
fn what_is_no_handler_is_refused_with_the_reason() {
    let newer = String::from_utf8_lossy(b"@0.7.0").into_owned();
    let table: [(Vec<u8>, &str); 8] = [
        (
            wat::parse_str("(module)").unwrap(),
            "is a core module without `_start`",
        ),
        (Vec::new(), "the file is empty"),
        (b"\0as".to_vec(), "the file is cut off"),
        (b"\0asm\x0d\0".to_vec(), "the file is cut off"),
        (b"<!doctype html>".to_vec(), "does not begin as"),
        (
            b"\0asm\x0e\0\x01\0".to_vec(),
            "a version that this host does not know",
        ),
        (
            wat::parse_str("(component)").unwrap(),
            "is not a handler: it exports nothing",
        ),
        (
            wat::parse_str(
                r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#,
            )
            .unwrap(),
            "does not fit this host: ",
        ),
    ];
    for (module, expected) in table {
        let text = refused(&module, |_| {});
        assert!(text.contains(expected), "{text} should contain {expected}");
    }
    let text = format!(r#"(component (import "gristmill:queue/delivery{newer}" (instance)))"#);
    let text = refused(&wat::parse_str(text).unwrap(), |_| {});
    assert!(
        text.contains("built for a newer interface than this host's 0.1.0"),
        "{text}"
    );
    let text = format!(
        r#"(component (instance $i) (export "gristmill:queue/handler{newer}" (instance $i)))"#
    );
    let text = refused(&wat::parse_str(text).unwrap(), |_| {});
    assert!(
        text.contains("it exports gristmill:queue/handler@0.7.0"),
        "{text}"
    );
}

#[test]
fn a_module_cut_off_anywhere_is_refused() {
    let module = guests::ok();
    for length in (0..module.len()).step_by(module.len() / 60 + 1) {
        let error = runtime()
            .load(&spec(|_| {}), &module[..length])
            .unwrap_err();
        assert!(
            matches!(
                error,
                LoadError::NotWasm { .. } | LoadError::Invalid { .. } | LoadError::NoHandler { .. }
            ),
            "cut at {length}: {error}"
        );
    }
    // And with rubbish in the middle.
    for position in (8..module.len()).step_by(module.len() / 60 + 1) {
        let mut module = module.clone();
        module[position] ^= 0xff;
        // Some changes are harmless, such as one in a name; none may panic.
        let _ = runtime().load(&spec(|_| {}), &module);
    }
}

#[test]
fn however_many_imports_are_refused_the_words_about_them_are_few() {
    let with = |count: usize| {
        let imports: String = (0..count)
            .map(|i| format!("(import \"f{i}\" (func))"))
            .collect();
        wat::parse_str(format!("(component {imports})")).unwrap()
    };
    let text = refused(&with(25), |_| {});
    assert_eq!(text.lines().count(), 21, "{text}");
    assert!(
        text.starts_with("orders.wasm imports f0, but this host does not know it"),
        "{text}"
    );
    assert!(text.ends_with("\nand 5 imports more"), "{text}");
    assert_eq!(
        refused(&with(1001), |_| {}),
        "orders.wasm needs 1001 imports, but a handler has at most 1000"
    );
    let name = "n".repeat(5000);
    let long = wat::parse_str(format!("(component (import \"{name}\" (func)))")).unwrap();
    let text = refused(&long, |_| {});
    assert!(text.len() < 400 && text.contains("nnn […], but"), "{text}");
}

#[test]
fn a_pin_a_guarantee_and_limits_are_checked() {
    let other = refused(&guests::ok(), |spec| spec.sha256 = Some([7; 32]));
    assert!(
        other.contains("pins 0707") && other.contains("`sha256`"),
        "{other}"
    );
    let large = refused(&guests::ok(), |spec| spec.limits.memory = 65536);
    assert!(large.contains("needs 196608 bytes of memory"), "{large}");
    let whole = "(component (core module $m (memory 65536)) (core instance (instantiate $m)))";
    let whole = wat::parse_str(whole).unwrap();
    assert_eq!(
        refused(&whole, |_| {}),
        "orders.wasm needs 4294967296 bytes of memory to start, but its limit is 67108864: raise \
         `memory` of [handler.orders]"
    );
    let unused = wat::parse_str("(component (core module (memory 65536)))").unwrap();
    let unused = refused(&unused, |_| {});
    assert!(
        unused.starts_with("orders.wasm does not fit this host: ")
            && unused.contains("a minimum byte size of 4294967296 which exceeds the limit of"),
        "{unused}"
    );
    // As when it was raised while the host ran.
    let raised = refused(&whole, |spec| spec.limits.memory = 4 << 30);
    assert!(
        raised.contains("exceeds the limit of 0x4000000 bytes; build it with less, or raise `memory` of [handler.orders] and restart the host"),
        "{raised}"
    );
    load(&guests::ok(), |spec| spec.require = GuaranteeClass::Atomic);
    let hash = load(&guests::ok(), |_| {}).hash().to_owned();
    assert_eq!(hash.len(), 64);
}

#[test]
fn compiled_code_is_kept_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 2);
    let module = guests::traps();
    let load = || runtime.load(&spec(|_| {}), &module).unwrap();
    let first = load();
    assert!(first.compile_time().is_some());
    assert!(first.sizes().compiled > 0 && first.sizes().initial_memory == 3 * 65536);
    assert_eq!(load().compile_time(), None);
    // Another host process finds it, too.
    let second = runtime_in(&dir, 2).load(&spec(|_| {}), &module).unwrap();
    assert_eq!(second.compile_time(), None);
    let cache = dir.path().join("cwasm");
    let mode = fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let files: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let code = files
        .iter()
        .find(|path| path.extension().unwrap() == "cwasm")
        .unwrap();
    // Damaged, cut off, or gone: made anew, while the old code still runs.
    for damage in [
        |bytes: &mut Vec<u8>| bytes[100] ^= 1,
        |bytes: &mut Vec<u8>| bytes.truncate(1000),
        |bytes: &mut Vec<u8>| bytes.clear(),
    ] {
        let mut bytes = fs::read(code).unwrap();
        damage(&mut bytes);
        fs::remove_file(code).unwrap();
        fs::write(code, bytes).unwrap();
        assert!(load().compile_time().is_some());
        assert_eq!(load().compile_time(), None);
    }
}

#[test]
fn a_cache_that_others_can_write_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cwasm");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let _runtime = runtime_in(&dir, 2);
    let mode = fs::metadata(&cache).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
