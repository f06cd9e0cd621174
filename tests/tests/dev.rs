//! `gristmill dev`: sources change, modules are built, and the host takes them over.

use std::fs;
use std::path::Path;

use gristmill_tests::{Host, guests};
use rustix::process::{Pid, Signal, test_kill_process};

/// The module is what `src/which` names.
const BUILD: &str = "set -e
echo building $(cat src/which)
cp $(cat src/which) handlers/.work.new
mv handlers/.work.new handlers/work.wasm
";

fn config(build: &str) -> String {
    format!(
        "[host]\nshutdown_timeout = \"5s\"\n[queue.work]\nhandler = \"work.wasm\"\n\
         build = \"{build}\"\nwatch = [\"src\"]\n\
         [handler.work]\nstate = true\nsend_to = [\"out\"]\nreply = true\n\
         secrets = {{ none = {{ file = \"gristmill.toml\" }} }}\n[queue.out]\n"
    )
}

/// A project whose module is made by a shell script.
fn project(build: &str) -> Host {
    let host = Host::new(&config(build), &[]).unwrap();
    fs::create_dir(host.folder().join("src")).unwrap();
    fs::write(host.folder().join("build.sh"), BUILD).unwrap();
    host
}

/// Writes what the module is made from.
fn edit(host: &Host, module: &Path) {
    let which = module.to_str().unwrap();
    fs::write(host.folder().join("src/which"), which).unwrap();
}

fn hash(host: &Host) -> anyhow::Result<String> {
    let handlers = host.socket().get("/v1/handlers")?.json();
    let hash = handlers["items"][0]["version"]["hash"].as_str();
    Ok(hash.unwrap_or_default().to_owned())
}

fn wait_for(host: &Host, words: &str) {
    host.wait_until(words, |host| Ok(host.log().contains(words)))
        .unwrap();
}

fn is_gone(host: &Host, file: &str) -> bool {
    let pid = fs::read_to_string(host.folder().join(file)).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    test_kill_process(pid).is_err()
        || fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
            .is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn what_is_edited_is_built_and_served_and_what_does_not_build_leaves_the_old_version() {
    let guests = guests().unwrap();
    let mut host = project("sh build.sh");
    edit(&host, &guests.path("sink"));
    host.launch(&["dev"]).unwrap();
    host.wait_ready().unwrap();
    wait_for(&host, "dev: work: built in ");
    host.send("work", "hello").unwrap();
    host.wait_settled(&["work"]).unwrap();
    wait_for(&host, " ms: done");
    let first = hash(&host).unwrap();

    edit(&host, Path::new("no/such/module.wasm"));
    wait_for(
        &host,
        "dev: work: the build failed with exit code 1; the version before it serves on",
    );
    // What the tool has said of it, as it has said it.
    assert!(host.log().contains("no/such/module.wasm"), "{}", host.log());
    assert_eq!(hash(&host).unwrap(), first);
    host.send("work", "hello again").unwrap();
    host.wait_settled(&["work"]).unwrap();

    edit(&host, &guests.path("misbehave"));
    host.wait_until("the new version serves", |host| Ok(hash(host)? != first))
        .unwrap();
    host.send("work", "reject no good").unwrap();
    wait_for(&host, " ms: rejected: no good");
    assert_eq!(host.stop().unwrap(), Some(0));
    // Never two at once, and none without a reason.
    assert_eq!(
        host.log().matches("\nbuilding ").count(),
        3,
        "{}",
        host.log()
    );
}

#[test]
fn another_command_is_taken_over_and_whoever_stops_dev_stops_what_it_builds() {
    let mut host = project("sh build.sh");
    edit(&host, &guests().unwrap().path("sink"));
    host.launch(&["dev"]).unwrap();
    host.wait_ready().unwrap();
    // A build that does not end, and has started another process.
    let endless = "sh -c 'echo $$ > child; exec sleep 600' & echo $$ > shell; wait";
    host.configure(&config(endless)).unwrap();
    host.wait_until("it is built in the new way", |host| {
        let there = |file: &str| {
            let text = fs::read_to_string(host.folder().join(file)).unwrap_or_default();
            text.ends_with('\n')
        };
        Ok(there("child") && there("shell"))
    })
    .unwrap();
    host.send("work", "the host serves meanwhile").unwrap();
    host.wait_settled(&["work"]).unwrap();
    host.signal(Signal::INT).unwrap();
    assert_eq!(host.wait_end().unwrap(), Some(0));
    assert!(is_gone(&host, "child") && is_gone(&host, "shell"));
}

#[test]
fn serve_runs_no_command() {
    let mut host = project("touch it-was-run");
    host.start().unwrap();
    assert_eq!(host.stop().unwrap(), Some(0));
    assert!(!host.folder().join("it-was-run").exists());
}
