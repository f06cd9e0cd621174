//! What we are built of: under which licences, and from where. `deny.toml` says what is allowed, and whoever
//! has cargo-deny asks the same of every platform; here it is asked of the one that is built.

use std::process::Command;

use gristmill_tests::workspace;
use serde_json::Value;
use spdx::{Expression, ParseMode};

/// The quoted words of the list `key = […]` in `deny.toml`.
fn listed(key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join("deny.toml")).unwrap();
    let (_, list) = text.split_once(&format!("\n{key} = [")).unwrap();
    let (list, _) = list.split_once("\n]").unwrap();
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn packages() -> Vec<Value> {
    let host = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output();
    let host = String::from_utf8(host.unwrap().stdout).unwrap();
    let mut metadata = Command::new(env!("CARGO"));
    metadata
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
        ])
        .arg(host.trim())
        .current_dir(workspace());
    let output = metadata.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let mut all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let Value::Array(packages) = all["packages"].take() else {
        panic!("cargo metadata lists no packages");
    };
    packages
}

/// What is wrong with the licence of a package.
fn licence_problem(licence: Option<&str>, allowed: &[String]) -> Option<String> {
    let Some(licence) = licence else {
        return Some("it names no licence".to_owned());
    };
    // Older manifests write "MIT/Apache-2.0".
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Ok(expression) => {
            let may = expression.evaluate(|asked| allowed.contains(&asked.to_string()));
            (!may).then(|| format!("{licence} is not among those that deny.toml allows"))
        }
        Err(error) => Some(format!("{licence} is no licence: {error}")),
    }
}

#[test]
fn dependencies_are_under_licences_that_we_may_use_and_from_the_registry() {
    let allowed = listed("allow");
    assert!(allowed.len() > 3, "{allowed:?}");
    let mut problems = Vec::new();
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    for package in &packages {
        // Ours.
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        let name = package["name"].as_str().unwrap();
        if !source.starts_with("registry+") {
            problems.push(format!("{name} comes from {source}"));
        }
        if name == "openssl-sys" {
            problems.push(format!("{name}: no TLS of the system's"));
        }
        if let Some(problem) = licence_problem(package["license"].as_str(), &allowed) {
            problems.push(format!("{name}: {problem}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn licences_are_read_as_they_are_written() {
    let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"].map(str::to_owned);
    for (licence, is_allowed) in [
        ("MIT", true),
        ("MIT/GPL-3.0", true),
        ("(GPL-3.0-only OR MIT) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("MIT AND GPL-3.0-only", false),
        ("whatever", false),
    ] {
        let problem = licence_problem(Some(licence), &allowed);
        assert_eq!(problem.is_none(), is_allowed, "{licence}: {problem:?}");
    }
    assert!(licence_problem(None, &allowed).is_some());
}
