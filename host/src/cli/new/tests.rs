use super::*;

use std::collections::BTreeSet;
use std::process::Command;

use crate::config;

fn file(files: &[(PathBuf, String)], path: &str) -> String {
    let found = files.iter().find(|(known, _)| known == Path::new(path));
    found
        .unwrap_or_else(|| panic!("there is no {path}"))
        .1
        .clone()
}

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/rust")
}

#[test]
fn names_are_those_that_cargo_and_the_configuration_take() {
    let longest = "x".repeat(MAX_NAME);
    for good in ["a", "orders", "my-orders", "my_orders2", longest.as_str()] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    let longer = "x".repeat(MAX_NAME + 1);
    for bad in [
        "",
        "-a",
        "2a",
        "a b",
        "a.b",
        "../a",
        "A",
        "ä",
        "a\n",
        longer.as_str(),
    ] {
        let error = check(bad).unwrap_err();
        assert!(matches!(error, NewError::InvalidName { .. }), "{bad}");
    }
    for word in ["test", "match", "proc-macro", "gristmill-sdk"] {
        let error = check(word).unwrap_err();
        assert!(error.to_string().contains("word of Rust"), "{word}");
    }
}

#[test]
fn no_placeholder_is_left_and_each_path_is_inside_and_given_once() {
    let files = scaffold("my-orders", &SdkSource::Vendored).unwrap();
    let mut seen = BTreeSet::new();
    for (path, text) in &files {
        assert!(seen.insert(path), "{} is given twice", path.display());
        assert!(
            path.components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
        );
        assert!(
            !text.contains("{{name") && !text.contains("{{sdk"),
            "{}",
            path.display()
        );
    }
    let manifest: toml::Table = file(&files, "Cargo.toml").parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-orders"));
}

#[test]
fn the_configuration_is_one_that_the_host_takes() {
    let files = scaffold("my-orders", &SdkSource::Vendored).unwrap();
    let around = config::Surroundings {
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        cores: 2,
    };
    let path = Path::new("project/gristmill.toml");
    let config = config::parse(&file(&files, "gristmill.toml"), path, &around).unwrap();
    assert!(config.warnings.is_empty());
    let handler = &config.handlers["my_orders"];
    let built = "project/target/wasm32-wasip2/release/my_orders.wasm";
    assert_eq!(handler.path, Path::new(built));
    assert!(handler.grants.state && handler.grants.send_to.len() == 1);
}

#[test]
fn a_path_to_the_sdk_is_written_so_that_toml_reads_it() {
    for path in ["../sdk/rust", r"C:\work\sdk", "/home/a \"b\"/sdk", "/a\tb"] {
        let files = scaffold("a", &SdkSource::Path(path.into())).unwrap();
        let manifest: toml::Table = file(&files, "Cargo.toml").parse().unwrap();
        let written = manifest["dependencies"]["gristmill-sdk"]["path"].as_str();
        assert_eq!(written, Some(path));
        assert!(files.iter().all(|(path, _)| !path.starts_with("vendor")));
    }
}

#[test]
fn the_copied_sdk_has_every_source() {
    fn collect(root: &Path, folder: &str, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            let path = format!("{folder}/{name}");
            if entry.unwrap().file_type().unwrap().is_dir() {
                collect(root, &path, into);
            } else {
                into.insert(path);
            }
        }
    }
    let mut there = BTreeSet::new();
    for folder in ["src", "wit", "macros/src"] {
        collect(&sdk(), folder, &mut there);
    }
    let listed: BTreeSet<String> = SDK.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(listed, there);
}

#[test]
fn the_copied_manifests_ask_for_what_the_real_ones_do() {
    let workspace = std::fs::read_to_string(sdk().join("../../Cargo.toml")).unwrap();
    let workspace: toml::Table = workspace.parse().unwrap();
    for (path, template) in MANIFESTS {
        let real: toml::Table = std::fs::read_to_string(sdk().join(path))
            .unwrap()
            .parse()
            .unwrap();
        let copied: toml::Table = template.parse().unwrap();
        let inherited = &workspace["workspace"]["dependencies"];
        let real_dependencies = real["dependencies"].as_table().unwrap();
        let copied_dependencies = copied["dependencies"].as_table().unwrap();
        assert!(
            real_dependencies.keys().eq(copied_dependencies.keys()),
            "{path}"
        );
        for (name, real) in real_dependencies {
            let real = if real.get("workspace").is_some() {
                &inherited[name]
            } else {
                real
            };
            let ours = name.starts_with("gristmill");
            assert!(ours || *real == copied_dependencies[name], "{path}: {name}");
        }
        assert_eq!(real.get("target"), copied.get("target"), "{path}");
    }
}

/// Builds and tests a project as its owner would.
#[test]
#[ignore = "runs Cargo for a minute or two"]
fn a_new_project_builds_and_passes_its_tests() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in scaffold("my-orders", &SdkSource::Vendored).unwrap() {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for verb in ["wasm", "test"] {
        let cargo = Command::new("cargo")
            .arg(verb)
            .current_dir(&folder)
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("RUSTUP_TOOLCHAIN")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&cargo.stderr);
        assert!(cargo.status.success(), "cargo {verb}: {said}");
        assert!(!said.contains("warning"), "cargo {verb}: {said}");
    }
    let module = folder
        .path()
        .join("target/wasm32-wasip2/release/my_orders.wasm");
    let module = std::fs::read(module).unwrap();
    assert!(
        module.starts_with(b"\0asm\x0d\0\x01\0"),
        "it is a component"
    );
}
