//! Counting under callgrind, and the figures that were found before.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Set in the processes that are counted: how many rounds there are.
const ROUNDS: &str = "GRISTMILL_COUNTED_ROUNDS";
/// Set in those processes: a folder of the test, which lasts from one to the next.
const FOLDER: &str = "GRISTMILL_COUNTED_FOLDER";
/// Where in that folder they write the number of the thread that runs the path.
const THREAD: &str = "thread";
/// By how many percent a figure may be off.
const TOLERANCE: f64 = 5.0;
/// What stands above the figures.
const HEAD: &str = "\
# Instructions of one round of each path in tests/counts, in the debug profile; main.rs says more.
# Written by: UPDATE_COUNTS=1 cargo test --locked -p gristmill --test counts
# They hold for the compiler of rust-toolchain.toml and for x86-64, and were found with ";

/// One path at a time: what is waited for in real time must not depend on a neighbour.
static COUNTING: Mutex<()> = Mutex::new(());

/// Whose instructions are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// Only those of the thread that runs the path.
    Own,
    /// Those of all that it starts as well.
    All,
}

/// A folder of the path that is counted, for what is not to be made anew for each count.
pub fn kept() -> PathBuf {
    env::var_os(FOLDER)
        .expect("only a counted process asks")
        .into()
}

/// In the test run: counts a path and holds it against its figure. In a counted process: runs the path.
pub fn counted(path: &str, threads: Threads, rounds: u32, run: impl FnOnce(u32)) {
    if let Ok(rounds) = env::var(ROUNDS) {
        // Of the threads so far this is the last, wherever the test runner lets tests run.
        let thread = fs::read_dir("/proc/self/task").unwrap().count();
        fs::write(kept().join(THREAD), thread.to_string()).unwrap();
        return run(rounds.parse().unwrap());
    }
    let Some(valgrind) = valgrind() else { return };
    let _one = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let count = |rounds| count(folder.path(), threads, rounds);
    // The first one leaves in the folder what the others find there.
    count(1);
    let once = count(rounds);
    let twice = count(2 * rounds);
    let found = (twice - once) / u64::from(rounds);
    println!("{path}: {found} instructions a round");
    if env::var_os("UPDATE_COUNTS").is_some() {
        update(path, found, &valgrind);
    } else {
        compare(path, found);
    }
}

/// What valgrind calls itself, if it is there.
fn valgrind() -> Option<String> {
    let asked = Command::new("valgrind").arg("--version").output();
    if let Ok(output) = asked
        && output.status.success()
    {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let set = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    let required = set("CI", "1") || set("CI", "true") || set("GRISTMILL_CLIENTS", "required");
    assert!(
        !required,
        "valgrind has to be there: install it with the system's packages"
    );
    println!("SKIP: instructions are not counted, since there is no valgrind");
    None
}

/// Runs this very test in a process of its own, and says how many instructions it took.
fn count(folder: &Path, threads: Threads, rounds: u32) -> u64 {
    let test = std::thread::current().name().unwrap().to_owned();
    let out = folder.join("callgrind");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().unwrap())
        .args(["--exact", &test, "--test-threads=1", "--nocapture"])
        .env(ROUNDS, rounds.to_string())
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{test} does not run under callgrind:\n{told}{complained}"
    );
    let own = fs::read_to_string(folder.join(THREAD)).unwrap();
    let own: usize = own.parse().unwrap();
    let mut sum = 0;
    for thread in 1_usize.. {
        let counts = folder.join(format!("callgrind-{thread:02}"));
        let Ok(text) = fs::read_to_string(&counts) else {
            break;
        };
        fs::remove_file(counts).unwrap();
        if thread == own || threads == Threads::All {
            let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
            let total = total.expect("callgrind adds up").trim();
            sum += total.parse::<u64>().unwrap();
        }
    }
    sum
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/counts/figures.txt")
}

fn stored() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(file()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(path, figure)| (path.to_owned(), figure.trim().parse().unwrap()))
        .collect()
}

fn update(path: &str, found: u64, valgrind: &str) {
    let mut figures = stored();
    figures.insert(path.to_owned(), found);
    let mut text = format!("{HEAD}{valgrind}.\n");
    for (path, figure) in figures {
        writeln!(text, "{path} {figure}").unwrap();
    }
    fs::write(file(), text).unwrap();
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn compare(path: &str, found: u64) {
    let before = stored().get(path).copied();
    let before = before.unwrap_or_else(|| panic!("{path} has no figure: run with UPDATE_COUNTS=1"));
    let change = (found as f64 / before as f64 - 1.0) * 100.0;
    assert!(
        change.abs() <= TOLERANCE,
        "{path} takes {found} instructions a round, {change:+.1} % against the {before} in \
         tests/counts/figures.txt: find out what it does more or less than before, and if that is \
         meant, run with UPDATE_COUNTS=1"
    );
}
