//! What a confined host cannot do, and what others cannot do with its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use gristmill_tests::{Host, Socket, gristmill};

use crate::fixture;

const FILES: [&str; 7] = ["append", "cut", "remove", "rename", "take", "link", "read"];

fn config(confine: &str) -> String {
    let sandbox = format!("[host.sandbox]\nconfine = \"{confine}\"\n\n");
    fixture::config("", "").replace("[defaults.queue]", &format!("{sandbox}[defaults.queue]"))
}

/// What the probe says: how each act ended, of those that a host needs and those that are forbidden.
fn probe(confine: &str) -> (String, BTreeMap<String, String>, BTreeMap<String, String>) {
    let host = Host::new(&config(confine), &["misbehave"]).unwrap();
    let outside = tempfile::tempdir().unwrap();
    for file in FILES {
        fs::write(outside.path().join(file), "x").unwrap();
    }
    let printed = host
        .done(&["__probe", outside.path().to_str().unwrap()])
        .unwrap();
    let (words, acts) = printed.split_once('\n').unwrap();
    let (mut needed, mut forbidden) = (BTreeMap::new(), BTreeMap::new());
    for act in acts.lines() {
        let [kind, what, ended] = act.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let acts = if kind == "needed" {
            &mut needed
        } else {
            &mut forbidden
        };
        acts.insert(what.to_owned(), ended.to_owned());
    }
    (words.to_owned(), needed, forbidden)
}

#[test]
fn a_confined_host_does_what_it_needs_and_nothing_else() {
    let (words, needed, forbidden) = probe("auto");
    if words.starts_with("not confined") {
        println!("SKIP: {words}");
        return;
    }
    println!(
        "{words}; {} acts are needed, {} forbidden",
        needed.len(),
        forbidden.len()
    );
    for (what, ended) in &needed {
        assert_eq!(ended, "done", "{what}");
    }
    assert!(forbidden.len() >= 15);
    for (what, ended) in &forbidden {
        // A link out of a folder is refused as one to another disk would be.
        let refusals = ["Permission denied", "Invalid cross-device link"];
        let refused = refusals
            .iter()
            .any(|words| ended.starts_with(&format!("refused: {words}")));
        assert!(refused, "{what}: {ended}");
    }
    assert!(words.starts_with("confined: "), "{words}");
    assert_eq!(probe("required").2, forbidden);
}

#[test]
fn without_confinement_the_same_acts_are_done_so_the_probe_can_see() {
    let (words, needed, forbidden) = probe("off");
    assert_eq!(words, "not confined: host.sandbox.confine is off");
    for (what, ended) in needed.iter().chain(&forbidden) {
        assert_eq!(ended, "done", "{what}");
    }
}

#[test]
fn a_confined_host_compiles_reloads_and_says_how_far_it_is_confined() {
    let mut host = Host::new(&config("auto"), &["misbehave"]).unwrap();
    // A cache of its own, so that there is something to compile.
    fs::remove_file(host.data().join("compiled")).unwrap();
    host.start().unwrap();
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("work").unwrap().acked, 1);
    let module = fs::read(host.module("misbehave")).unwrap();
    host.install_bytes(&fixture::variant(&module, "second"), "misbehave")
        .unwrap();
    host.wait_until("the second version serves", |host| {
        let cached = fs::read_dir(host.data().join("compiled"))?;
        let code = cached.filter(|file| {
            let file = file.as_ref().map(fs::DirEntry::path);
            file.is_ok_and(|path| path.extension().is_some_and(|ext| ext == "cwasm"))
        });
        Ok(code.count() == 2)
    })
    .unwrap();
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    let log = host.log();
    assert!(
        log.contains("confined: writes in data_dir only") || log.contains("not confined"),
        "{log}"
    );
}

#[test]
fn a_module_that_is_linked_from_elsewhere_needs_readable() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut host = Host::new(&config("auto"), &["misbehave"]).unwrap();
    let module = elsewhere.path().join("misbehave.wasm");
    fs::rename(host.module("misbehave"), &module)
        .or_else(|_| fs::copy(host.module("misbehave"), &module).map(drop))
        .unwrap();
    let _ = fs::remove_file(host.module("misbehave"));
    std::os::unix::fs::symlink(&module, host.module("misbehave")).unwrap();
    host.start().unwrap();
    if host.log().contains("not confined") {
        println!("SKIP: {}", host.log());
        return;
    }
    host.wait_until("it is said why", |host| {
        Ok(host.log().contains("host.sandbox.readable"))
    })
    .unwrap();
    host.stop().unwrap();
    let readable = format!("confine = \"auto\"\nreadable = [{:?}]", elsewhere.path());
    host.configure(&config("auto").replace("confine = \"auto\"", &readable))
        .unwrap();
    host.start().unwrap();
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("work").unwrap().acked, 1);
}

#[test]
fn whatever_the_host_makes_is_for_its_user_only_even_with_an_open_umask() {
    let host = Host::new(&config("auto"), &["misbehave"]).unwrap();
    fs::remove_dir_all(host.data()).unwrap();
    let mut open = Command::new("sh")
        .args(["-c", "umask 0; exec \"$0\" serve"])
        .arg(gristmill().unwrap())
        .current_dir(host.folder())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let socket = Socket::new(&host.data().join("gristmill.sock"));
    host.wait_until("it is ready", |_| {
        Ok(socket.get("/readyz").is_ok_and(|ready| ready.status == 200))
    })
    .unwrap();
    let large = vec![b'x'; 700_000];
    let sent = socket.post("/v1/queues/out/messages", &[], &large).unwrap();
    assert_eq!(sent.status, 201, "{}", sent.text);
    // So that there is compiled code as well.
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    let mut seen = Vec::new();
    modes(&host.data(), &mut seen);
    open.kill().unwrap();
    open.wait().unwrap();
    assert!(seen.len() > 8, "{seen:?}");
    for (path, mode, kind) in &seen {
        let expected = if *kind == "folder" { 0o700 } else { 0o600 };
        assert_eq!(mode & 0o777, expected, "{path}: {mode:o}");
    }
    assert!(seen.iter().any(|(.., kind)| *kind == "socket"));
}

fn modes(path: &Path, seen: &mut Vec<(String, u32, &'static str)>) {
    let found = fs::symlink_metadata(path).unwrap();
    let kind = match found.file_type() {
        kind if kind.is_dir() => "folder",
        kind if kind.is_socket() => "socket",
        _ => "file",
    };
    assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
    seen.push((path.display().to_string(), found.permissions().mode(), kind));
    if kind == "folder" {
        for entry in fs::read_dir(path).unwrap() {
            modes(&entry.unwrap().path(), seen);
        }
    }
}
