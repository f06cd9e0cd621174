//! From nothing to a handler that serves, as the README tells it.

use std::os::unix::fs::symlink;

use gristmill_tests::{Host, cargo, kept};

#[test]
fn a_new_project_builds_and_serves() {
    let outside = Host::new("", &[]).unwrap();
    outside.done(&["new", "greeter"]).unwrap();
    let project = outside.folder().join("greeter");
    // What it depends on is built once and found again by the next run.
    symlink(kept("new-project").unwrap(), project.join("target")).unwrap();
    let mut build = cargo();
    build.current_dir(&project).arg("wasm");
    for variable in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
    ] {
        build.env_remove(variable);
    }
    let built = build.output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );

    let config = std::fs::read_to_string(project.join("gristmill.toml")).unwrap();
    let mut host = Host::at(&project, &config, &[]).unwrap();
    host.start().unwrap();
    host.send("greeter", r#"{"name":"Ada"}"#).unwrap();
    host.send("greeter", r#"{"name":""}"#).unwrap();
    host.wait_settled(&["greeter"]).unwrap();
    let greetings = host.done(&["peek", "greeter-greetings"]).unwrap();
    assert!(greetings.contains("Hello, Ada!"), "{greetings}");
    let dead = host.dead("greeter").unwrap();
    assert_eq!(dead[0]["error"], "there is nobody to greet");
    assert_eq!((dead.len(), host.stop().unwrap()), (1, Some(0)));
}
