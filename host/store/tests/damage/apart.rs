//! Runs that may end the process: redb panics over some damaged pages, and over a few of them again
//! while it cleans up after that, which ends the process whatever anybody catches.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test that damages files needs everything"
)]

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

/// Of which number on a child runs.
const FROM: &str = "GRISTMILL_APART_FROM";
const MARK: &str = "apart";
const SIGABRT: i32 = 6;

/// What is told of a run that ended the process.
pub const ENDED: &str = "the process was ended";

/// Does so many runs in a child process, which is the same test once more, and in another from the next
/// run on whenever one ends it. Returns what each told, in one line.
pub fn apart(test: &str, from: u64, runs: u64, mut one: impl FnMut(u64) -> String) -> Vec<String> {
    let end = from + runs;
    if let Ok(from) = std::env::var(FROM) {
        for number in from.parse().unwrap()..end {
            let told = one(number).replace('\n', " ");
            // The harness's own lines may have no end yet.
            println!("\n{MARK} {number} {told}");
            std::io::stdout().flush().unwrap();
        }
        std::process::exit(0);
    }
    let mut all = Vec::new();
    let mut next = from;
    while next < end {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(FROM, next.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        for line in said.lines() {
            let Some((number, told)) = line
                .strip_prefix(MARK)
                .and_then(|line| line.trim_start().split_once(' '))
            else {
                continue;
            };
            assert_eq!(number.parse(), Ok(next), "{line}");
            all.push(told.to_owned());
            next += 1;
        }
        if child.status.signal() == Some(SIGABRT) {
            all.push(ENDED.to_owned());
            next += 1;
        } else {
            let said = String::from_utf8_lossy(&child.stderr);
            assert!(
                child.status.success() && next == end,
                "at run {next}: {said}"
            );
        }
    }
    all
}
