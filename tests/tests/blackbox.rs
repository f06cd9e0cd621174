//! The power goes under the whole program: its file system is copied, in one moment, while the host
//! works on it, and a host starts on each copy as a machine would after the power came back.
//!
//! The file system is ext4 in a file, attached as a disk, on an outer file system that can copy a file
//! in one moment without its bytes (xfs with reflinks). What the host and the system had not written to
//! that disk is not in the copy. A machine without loop devices, their tools or the right to use them
//! says SKIP, and why.
//!
//! `GRISTMILL_SHOTS` sets how often, `GRISTMILL_SHOT_SEED` repeats a run: `cargo soak blackbox`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gristmill_tests::{Event, History, Host, Rng, commit};

use crate::kill;

const PRODUCERS: u64 = 3;
const MIB: u64 = 1024 * 1024;
/// Of the disk on which the host works: little, so that a copy of it is mounted at once.
const INNER: u64 = 256 * MIB;
const OUTER: u64 = 4096 * MIB;
/// A file whose content is asked of the disk, and one of which nothing is.
const SYNCED: &str = "synced";
const LOOSE: &str = "loose";

fn shots() -> u64 {
    let named = std::env::var("GRISTMILL_SHOTS").ok();
    named.map_or(4, |number| number.parse().unwrap())
}

/// Runs a program of the system. What went wrong is told in its words.
fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", args.join(" "), said.trim()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file that is attached as a disk and mounted; it is let go of when it is dropped.
struct Mounted {
    at: PathBuf,
    device: String,
}

impl Mounted {
    fn new(image: &Path, at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).unwrap();
        // Past the system's memory of the outer file, which would be in a copy of it as well.
        let attach = ["--direct-io=on", "--find", "--show", text(image)];
        let device = run("losetup", &attach)?;
        let mounted = Mounted {
            at: at.to_owned(),
            device,
        };
        run("mount", &[&mounted.device, text(at)])?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What is not mounted need not be let go of.
        let _ = run("umount", &[text(&self.at)]);
        let _ = run("losetup", &["--detach", &self.device]);
    }
}

/// The disk of the host, and the place for copies of it.
struct Bench {
    // The inner one is let go of first.
    inner: Mounted,
    image: PathBuf,
    outer: Mounted,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Why there is none, if this machine cannot have one.
    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may attach disks".to_owned());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let image = folder.path().join("outer.img");
        empty(&image, OUTER);
        run("mkfs.xfs", &["-q", "-m", "reflink=1", text(&image)])?;
        let outer = Mounted::new(&image, &folder.path().join("outer"))?;
        let image = outer.at.join("inner.img");
        empty(&image, INNER);
        // Smaller blocks than the outer file system's cannot be mounted past the system's memory.
        run("mkfs.ext4", &["-q", "-F", "-b", "4096", text(&image)])?;
        let inner = Mounted::new(&image, &folder.path().join("inner"))?;
        Ok(Bench {
            inner,
            image,
            outer,
            folder,
        })
    }

    /// Copies the disk as it is in one moment.
    fn shoot(&self, number: u64) -> PathBuf {
        let shot = self.outer.at.join(format!("shot-{number}.img"));
        run("cp", &["--reflink=always", text(&self.image), text(&shot)]).unwrap();
        shot
    }
}

fn empty(image: &Path, size: u64) {
    File::create(image).unwrap().set_len(size).unwrap();
}

/// Writes a file, and asks the disk for it or not.
fn write(path: &Path, synced: bool) {
    let mut file = File::create(path).unwrap();
    file.write_all(&[7; 4096]).unwrap();
    if synced {
        file.sync_all().unwrap();
        File::open(path.parent().unwrap())
            .unwrap()
            .sync_all()
            .unwrap();
    }
}

/// A copy, and how much had been seen when it was begun.
struct Shot {
    image: PathBuf,
    number: u64,
    seen: usize,
}

#[test]
fn after_the_power_went_under_the_host_all_that_was_answered_is_there_and_nothing_is_there_twice() {
    let bench = match Bench::new() {
        Ok(bench) => bench,
        Err(why) => {
            println!("SKIP: no disk to cut the power of: {why}");
            return;
        }
    };
    let seed = Rng::seed("GRISTMILL_SHOT_SEED");
    println!("GRISTMILL_SHOT_SEED={seed}");
    let mut dice = Rng::new(seed);
    let config = kill::config();
    let mut host = Host::at(&bench.inner.at.join("host"), &config, &["misbehave"]).unwrap();
    host.start().unwrap();
    let (events, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let socket = host.socket();
    let mut taken = Vec::new();
    std::thread::scope(|threads| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (events, done, socket) = (&events, &done, &socket);
                let note = move |event| events.lock().unwrap().push(event);
                threads.spawn(move || kill::produce(producer, socket, &note, done))
            })
            .collect();
        for number in 0..shots() {
            // This sleep is when the fault comes, not a wait for something to happen.
            std::thread::sleep(dice.between(Duration::from_millis(50), Duration::from_millis(900)));
            write(&bench.inner.at.join(format!("{SYNCED}-{number}")), true);
            write(&bench.inner.at.join(format!("{LOOSE}-{number}")), false);
            let seen = events.lock().unwrap().len();
            let image = bench.shoot(number);
            taken.push(Shot {
                image,
                number,
                seen,
            });
        }
        done.store(true, Ordering::Relaxed);
        for producer in producers {
            producer.join().unwrap();
        }
    });
    host.kill().unwrap();
    let events = events.into_inner().unwrap();
    let (mut effects, mut loose) = (0, 0);
    for shot in &taken {
        let found = examine(&bench, shot, &events, &config, seed);
        effects += found.effects;
        loose += u64::from(found.loose);
    }
    println!(
        "{} copies with {effects} acknowledged messages; {} sends were answered in all",
        taken.len(),
        answered(&events).count()
    );
    assert!(effects > shots(), "too little happened to say anything");
    // Else a copy would have what a disk without power has not, and would show nothing.
    assert!(loose < shots(), "what was never synced is there each time");
}

struct Found {
    effects: u64,
    loose: bool,
}

/// Starts a host on a copy, lets it end all that is there, and compares that with what was answered.
fn examine(bench: &Bench, shot: &Shot, events: &[Event], config: &str, seed: u64) -> Found {
    let at = bench.folder.path().join(format!("shot-{}", shot.number));
    let mounted = Mounted::new(&shot.image, &at).unwrap();
    let name = |kind: &str| mounted.at.join(format!("{kind}-{}", shot.number));
    let whole = |path: &Path| fs::read(path).is_ok_and(|bytes| bytes == [7; 4096]);
    assert!(
        whole(&name(SYNCED)),
        "the disk itself loses what was synced"
    );
    let loose = whole(&name(LOOSE));
    let mut host = Host::at(&mounted.at.join("host"), config, &["misbehave"]).unwrap();
    host.start().unwrap();
    host.wait_settled(&["work", "out"]).unwrap();
    let mut found = History::default();
    let effects = kill::observe(&host, &mut found);
    let there: BTreeSet<&str> = found.events().iter().filter_map(fate).collect();
    let mut history = History::default();
    for (number, event) in events.iter().enumerate() {
        match event {
            // What was answered later, or never before the power went, may be there or not.
            Event::Accepted { id, .. } if number >= shot.seen && !there.contains(id.as_str()) => {}
            other => history.note(other.clone()),
        }
    }
    for event in found.events() {
        history.note(event.clone());
    }
    assert_eq!(
        history.violations(),
        [],
        "copy {} of GRISTMILL_SHOT_SEED={seed} GRISTMILL_SHOTS={} at commit {}\n{}",
        shot.number,
        shots(),
        commit(),
        host.log()
    );
    host.stop().unwrap();
    let checked = host.json(&["store", "check"]).unwrap();
    assert_eq!(checked["ok"], true, "copy {}: {checked}", shot.number);
    Found { effects, loose }
}

fn answered(events: &[Event]) -> impl Iterator<Item = &str> {
    events.iter().filter_map(|event| match event {
        Event::Accepted { id, .. } => Some(id.as_str()),
        _ => None,
    })
}

fn fate(event: &Event) -> Option<&str> {
    match event {
        Event::Effect { id } | Event::Dead { id } | Event::Waiting { id } => Some(id),
        _ => None,
    }
}
