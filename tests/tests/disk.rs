//! A disk that is nearly full, and one that is full: on a file system of its own, where that can be made.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use gristmill_tests::Host;

use crate::fixture;

/// A small file system in memory, as a data folder; gone with the value.
struct Small(PathBuf);

impl Small {
    /// Nothing, and why, where none can be made.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size},mode=0700"),
                "none",
            ])
            .arg(at)
            .output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Some(Small(at.to_owned())),
            other => {
                println!("SKIP: no file system can be mounted here: {other:?}");
                None
            }
        }
    }

    fn grow(&self, size: &str) {
        let grown = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn config(reserve: &str) -> String {
    let reserve = format!("[host]\ndisk_reserve = \"{reserve}\"\ndata_dir = \"small\"\n");
    fixture::config("", "").replacen("[host]\n", &reserve, 1)
}

/// A host in a folder with a small data folder that is no link's target.
struct Tight {
    host: Host,
    socket: gristmill_tests::Socket,
    small: Small,
}

impl Tight {
    fn new(reserve: &str, size: &str, args: &[&str]) -> Option<Self> {
        let mut host = Host::new(&config(reserve), &["misbehave"]).unwrap();
        let small = Small::mount(&host.folder().join("small"), size)?;
        host.move_data("small");
        host.launch(args).unwrap();
        host.wait_ready().unwrap();
        let socket = host.socket();
        Some(Tight {
            host,
            socket,
            small,
        })
    }

    /// Sends bodies of 64 KiB until one is not taken. Says how many were, and the answer.
    fn fill(&self) -> (u64, Option<gristmill_tests::Answer>) {
        let body = vec![b'x'; 64 * 1024];
        for taken in 0..10_000 {
            match self.socket.post("/v1/queues/out/messages", &[], &body) {
                Ok(answer) if answer.status == 201 => {}
                Ok(answer) => return (taken, Some(answer)),
                Err(_) => return (taken, None),
            }
        }
        panic!("the disk is never full");
    }
}

#[test]
fn sends_are_refused_before_the_disk_is_full_and_what_is_there_is_handled() {
    let Some(tight) = Tight::new("12MiB", "48M", &["serve"]) else {
        return;
    };
    let host = &tight.host;
    host.done(&["pause", "work"]).unwrap();
    for _ in 0..3 {
        host.send("work", "ok").unwrap();
    }
    let (taken, refused) = tight.fill();
    let refused = refused.unwrap();
    assert_eq!(refused.status, 507, "{}", refused.text);
    let problem = refused.json();
    assert_eq!(problem["code"], "disk-reserve");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("MiB free, and 12 MiB are kept free"),
        "{detail}"
    );
    assert!(
        detail.ends_with(
            "nothing was sent: free space there, or lower host.disk_reserve, and send it again"
        ),
        "{detail}"
    );
    println!("{taken} bodies of 64 KiB were taken");
    // As large as those before: something smaller may still fit.
    let body = "x".repeat(64 * 1024);
    let said = host.run(&["send", "out", &body]).unwrap();
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(6), ""),
        "{}",
        said.stderr
    );
    // A large body is refused before it takes what is left.
    let large = vec![b'x'; 10 * 1024 * 1024];
    let refused = tight
        .socket
        .post("/v1/queues/out/messages", &[], &large)
        .unwrap();
    assert_eq!(refused.json()["code"], "disk-reserve", "{}", refused.text);
    host.done(&["resume", "work"]).unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("work").unwrap().acked, 3);
    assert_eq!(host.queue("out").unwrap().ready, taken);
    tight.small.grow("96M");
    host.wait_until("there is room again", |host| {
        Ok(host.send("work", "ok").is_ok())
    })
    .unwrap();
}

#[test]
fn a_disk_that_is_full_all_the_same_ends_the_host_and_all_that_was_answered_is_there_after_it() {
    let Some(mut tight) = Tight::new("0B", "24M", &["serve", "--supervise"]) else {
        return;
    };
    let (taken, refused) = tight.fill();
    assert!(
        refused
            .as_ref()
            .is_none_or(|answer| answer.json()["code"] != "disk-reserve"),
        "{refused:?}"
    );
    tight
        .host
        .wait_until("it ends", |host| {
            Ok(host.log().contains("exit code 74; it is started again"))
        })
        .unwrap();
    let began = Instant::now();
    tight.small.grow("96M");
    tight.host.wait_ready().unwrap();
    println!(
        "{taken} were taken; it serves again after {:?}",
        began.elapsed()
    );
    let host = &tight.host;
    assert!(
        host.log().contains("all of the store was verified"),
        "{}",
        host.log()
    );
    let ready = host.queue("out").unwrap().ready;
    assert!((taken..=taken + 1).contains(&ready), "{ready} of {taken}");
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
}
