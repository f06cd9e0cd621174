//! The measurement itself works: it starts a host, sends, and sees everything handled. Nothing is timed.

use std::process::Command;

#[test]
fn what_is_measured_is_handled() {
    let ran = Command::new(env!("CARGO_BIN_EXE_gristmill-bench"))
        .arg("smoke")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let problems = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}\n{problems}");
    for system in ["limit line", "Gristmill, fresh"] {
        for unconfirmed in ["1 unconfirmed", "1024 unconfirmed"] {
            let row = format!("{system}, {unconfirmed}");
            assert!(said.contains(&row), "{row}: {said}");
        }
    }
}
