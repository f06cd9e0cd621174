use super::*;

use std::collections::BTreeSet;

use clap::ValueEnum as _;

use crate::config::{self, Config};

/// A project of that language, with its SDK.
fn project(name: &str, language: Language) -> Project {
    scaffold(name, language, &SdkSource::Vendored).unwrap()
}

fn file(project: &Project, path: &str) -> String {
    let mut files = project.files.iter();
    let found = files.find(|(known, _)| known == Path::new(path));
    found
        .unwrap_or_else(|| panic!("there is no {path}"))
        .1
        .clone()
}

fn sdk(language: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.join("../sdk").join(language)
}

fn configuration(project: &Project) -> Config {
    let around = config::Surroundings {
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        cores: 2,
    };
    let path = Path::new("project/gristmill.toml");
    let config = config::parse(&file(project, "gristmill.toml"), path, &around);
    config.unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn names_are_those_that_languages_and_the_configuration_take() {
    let longest = "x".repeat(MAX_NAME);
    let longer = "x".repeat(MAX_NAME + 1);
    for language in Language::value_variants() {
        let check = |name: &str| check(name, language.template());
        for good in ["a", "orders", "my-orders", "my_orders2", longest.as_str()] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
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
    }
    for word in ["test", "match", "proc-macro", "gristmill-sdk"] {
        let error = check(word, Language::Rust.template()).unwrap_err();
        assert!(error.to_string().contains("word of Rust"), "{word}");
    }
}

#[test]
fn no_placeholder_is_left_and_each_path_is_inside_and_given_once() {
    for language in Language::value_variants() {
        let project = project("my-orders", *language);
        let mut seen = BTreeSet::new();
        for (path, text) in &project.files {
            assert!(seen.insert(path), "{} is given twice", path.display());
            assert!(
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_)))
            );
            for placeholder in [
                "{{name}}",
                "{{module}}",
                "{{sdk}}",
                "{{version}}",
                "{{build}}",
            ] {
                assert!(!text.contains(placeholder), "{}", path.display());
            }
        }
        assert!(!file(&project, &project.source).is_empty());
    }
    let manifest = file(&project("my-orders", Language::Rust), "Cargo.toml");
    let manifest: toml::Table = manifest.parse().unwrap();
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-orders"));
}

#[test]
fn how_a_module_is_made_is_told_without_a_placeholder() {
    for language in Language::value_variants() {
        let (words, build) = about(*language);
        assert!(!words.is_empty() && !build.contains("{{"), "{build}");
    }
}

/// All do the same, under the same names.
#[test]
fn the_configuration_is_one_that_the_host_takes() {
    for language in Language::value_variants() {
        let project = project("my-orders", *language);
        let config = configuration(&project);
        assert!(config.warnings.is_empty(), "{language:?}");
        let queue = config
            .queues
            .iter()
            .find(|(name, _)| name.as_str() == "my-orders");
        let handler = queue.unwrap().1.handler.clone().unwrap();
        let spec = &config.handlers[&handler];
        assert!(spec.grants.send_to.contains_key("my-orders-greetings"));
        // What makes the module is what `gristmill dev` runs.
        let build = config
            .builds
            .get(&handler)
            .map(|build| build.command.clone());
        assert_eq!(build, project.build, "{language:?}");
    }
    let config = configuration(&project("my-orders", Language::Rust));
    let handler = &config.handlers["my_orders"];
    let built = "project/target/wasm32-wasip2/release/my_orders.wasm";
    assert_eq!(handler.path, Path::new(built));
    assert!(handler.grants.state && handler.grants.send_to.len() == 1);
}

#[test]
fn a_path_to_the_sdk_is_written_so_that_a_manifest_has_it() {
    for path in ["../sdk/rust", r"C:\work\sdk", "/home/a \"b\"/sdk", "/a\tb"] {
        let project = scaffold("a", Language::Rust, &SdkSource::Path(path.into())).unwrap();
        let manifest: toml::Table = file(&project, "Cargo.toml").parse().unwrap();
        let written = manifest["dependencies"]["gristmill-sdk"]["path"].as_str();
        assert_eq!(written, Some(path));
        assert!(
            project
                .files
                .iter()
                .all(|(path, _)| !path.starts_with("vendor"))
        );
    }
}

/// The files below these folders of an SDK, by their paths in it.
fn there(root: &Path, folders: &[&str]) -> BTreeSet<String> {
    fn collect(root: &Path, folder: &str, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            let path = match folder {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            if path.ends_with("__pycache__") {
                continue;
            }
            if entry.unwrap().file_type().unwrap().is_dir() {
                collect(root, &path, into);
            } else {
                into.insert(path);
            }
        }
    }
    let mut found = BTreeSet::new();
    for folder in folders {
        collect(root, folder, &mut found);
    }
    found
}

#[test]
fn the_copied_sdk_has_every_source() {
    for (language, sources, folders) in [
        ("rust", rust::SOURCES, &["src", "wit", "macros/src"][..]),
        ("js", js::SOURCES, &["src", "wit"]),
        ("c", native::C_SOURCES, &["testing"]),
        ("go", native::GO_SOURCES, &["gristmilltest", "internal"]),
        ("python/src/gristmill", python::SOURCES, &[""]),
    ] {
        let listed: BTreeSet<String> = sources.iter().map(|(path, _)| (*path).to_owned()).collect();
        let there = there(&sdk(language), folders);
        assert!(listed.is_superset(&there), "{language}: {there:?}");
        assert!(listed.iter().all(|path| sdk(language).join(path).is_file()));
    }
}

#[test]
fn the_copied_manifests_ask_for_what_the_real_ones_do() {
    let workspace = std::fs::read_to_string(sdk("rust").join("../../Cargo.toml")).unwrap();
    let workspace: toml::Table = workspace.parse().unwrap();
    for (path, template) in rust::MANIFESTS {
        let real: toml::Table = std::fs::read_to_string(sdk("rust").join(path))
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

#[test]
fn a_language_is_known_by_its_full_name_too() {
    for (name, language) in [
        ("javascript", Language::Js),
        ("typescript", Language::Ts),
        ("golang", Language::Go),
        ("c++", Language::Cpp),
    ] {
        assert_eq!(Language::from_str(name, false), Ok(language));
    }
}
