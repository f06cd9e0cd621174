//! The long forms of the tests of the store, and the bugs that are planted to see that they would be
//! noticed. What each shows stands in `docs/reliability.md`.

use std::process::{Command, ExitCode, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use gristmill_tests::{cargo, commit, measure_start, workspace};

const HELP: &str = "\
Tests the store for a long time, or tests its tests.

usage: cargo soak WHAT [OPTIONS]

  power        the power goes at any moment of random lives, and again while the store recovers
  errors       every operation of the disk fails
  corruption   the file is damaged while it is closed
  model        random scripts, compared with a plain reference
  kill         the whole host is killed under load, again and again
  churn        modules are written, renamed, linked, deleted under load, again and again
  blackbox     the power goes under the whole host: copies of its disk; needs root, loop devices, xfs
  start        a host with a large store is killed and started: how long until it is ready, and until
               the first message is handled; for figures:
               cargo run --release -p gristmill-tests --bin soak -- start
  bugs         plants one bug after the other, and demands that a test fails

  --runs N     how many images (power), damages (corruption), scripts (model), kills (kill), changes
               (churn), copies (blackbox) or messages (start) at least;
               of the bugs: how many, beginning with the one whose turn it is by the seed
  --seed N     where to begin [default: 1]
  --threads N  for power [default: 2]
  --only NAME  plants this bug only
  --help       this text";

/// A test that notices a bug: its file, and its name or the beginning of it.
type Noticed = (&'static str, &'static str);

const POWER: Noticed = ("powercut", "after_the_power_went");
const COMPACTION: Noticed = ("powercut", "the_power_may_go_while");
const MODEL: Noticed = ("model", "the_store_does_what");
const ERRORS: Noticed = ("io_errors", "whichever_operation");

/// Tests of the host are in its library.
const HOST: &str = "the host";
const SWAPS: Noticed = (HOST, "swaps_under_load_lose_nothing");
const MAPPING: Noticed = (HOST, "errors_become_codes_and_statuses");

/// The bugs, and which test has to notice each.
const BUGS: &[(&str, Noticed)] = &[
    ("answered-before-commit", ERRORS),
    ("not-synced", POWER),
    ("named-too-early", POWER),
    ("dedup-in-second-commit", POWER),
    ("repeat-answered-early", ("io_errors", "a_repeat_is_told")),
    ("no-fence", MODEL),
    ("expiry-not-recorded", MODEL),
    ("effects-in-second-commit", POWER),
    ("crash-not-charged", MODEL),
    ("retry-by-wall-clock", MODEL),
    ("unknown-as-refused", ERRORS),
    ("head-skipped", MODEL),
    ("forgotten-too-early", POWER),
    ("not-verified", ("corruption", "damage_is_refused")),
    ("detach-loses-leases", MODEL),
    ("handlers-not-admitted", ("topics", "one_full_queue")),
    ("handlers-not-admitted", MODEL),
    ("body-not-synced", POWER),
    ("pull-lease-not-recorded", MODEL),
    ("lapse-not-counted", MODEL),
    ("replaced-too-early", COMPACTION),
    ("log-begun-too-early", POWER),
    ("checkpoint-not-synced", POWER),
    ("log-not-replayed", ("log", "what_follows_a_damaged_record")),
    ("unknown-answered-as-busy", MAPPING),
    ("reload-drops-deliveries", SWAPS),
];

#[derive(Default)]
struct Options {
    what: String,
    runs: Option<u64>,
    seed: Option<u64>,
    threads: Option<u64>,
    only: Option<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |options| soak(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--runs" => options.runs = Some(value()?.parse()?),
            "--seed" => options.seed = Some(value()?.parse()?),
            "--threads" => options.threads = Some(value()?.parse()?),
            "--only" => options.only = Some(value()?),
            what if options.what.is_empty() && !what.starts_with('-') => {
                what.clone_into(&mut options.what);
            }
            other => bail!("{other} is not known here\n\n{HELP}"),
        }
    }
    Ok(Some(options))
}

fn soak(options: &Options) -> Result<()> {
    let runs = |default: u64| options.runs.unwrap_or(default).to_string();
    let seed = options.seed.unwrap_or(1).to_string();
    let threads = options.threads.unwrap_or(2).to_string();
    match options.what.as_str() {
        "power" => {
            let (seeds, power) = (
                seed.clone(),
                [
                    ("GRISTMILL_POWER_IMAGES", runs(200_000)),
                    ("GRISTMILL_POWER_SEED", seed),
                    ("GRISTMILL_POWER_THREADS", threads),
                ],
            );
            long(POWER, &power)?;
            let compactions = ("GRISTMILL_POWER_COMPACTIONS", "200".to_owned());
            long(COMPACTION, &[compactions, ("GRISTMILL_POWER_SEED", seeds)])
        }
        "kill" => whole(
            "kill_9_under_load",
            &[
                ("GRISTMILL_KILLS", runs(500)),
                ("GRISTMILL_KILL_SEED", seed),
            ],
        ),
        "churn" => whole(
            "many_ways_to_put_a_module",
            &[
                ("GRISTMILL_CHURNS", runs(1000)),
                ("GRISTMILL_CHURN_SEED", seed),
            ],
        ),
        "blackbox" => whole(
            "after_the_power_went",
            &[("GRISTMILL_SHOTS", runs(40)), ("GRISTMILL_SHOT_SEED", seed)],
        ),
        "errors" => long(("io_errors", ""), &[]),
        "corruption" => long(
            ("corruption", ""),
            &[
                ("GRISTMILL_CORRUPTION_RUNS", runs(2000)),
                ("GRISTMILL_CORRUPTION_SEED", seed),
            ],
        ),
        "model" => long(
            ("model", "long_lives"),
            &[
                ("GRISTMILL_MODEL_RUNS", runs(2000)),
                ("GRISTMILL_MODEL_SEED", seed),
            ],
        ),
        "start" => measure_start(options.runs.unwrap_or(1_000_000)),
        "bugs" => bugs(options),
        other => bail!("what is {other:?}?\n\n{HELP}"),
    }
}

/// Runs a test of the store, as fast as it can be built.
fn long((file, test): Noticed, environment: &[(&str, String)]) -> Result<()> {
    let args = ["--release", "-p", "gristmill-store", "--test", file];
    tested(&args, test, environment)
}

/// Runs a test of the whole program.
fn whole(test: &str, environment: &[(&str, String)]) -> Result<()> {
    tested(
        &["-p", "gristmill-tests", "--test", "all"],
        test,
        environment,
    )
}

fn tested(args: &[&str], test: &str, environment: &[(&str, String)]) -> Result<()> {
    let options = environment.iter();
    let options = options.map(|(name, value)| format!("{name}={value}"));
    let options = options.collect::<Vec<_>>().join(" ");
    println!("{test} with {options} at commit {}", commit());
    let mut cargo = cargo();
    cargo.args(["test", "--locked"]).args(args);
    cargo.args(["--", "--nocapture", test]);
    cargo.envs(environment.iter().map(|(name, value)| (*name, value)));
    let ended = cargo.status().context("cargo cannot be started")?;
    ensure!(
        ended.success(),
        "the test failed at commit {} with {options}: what it says above is enough to repeat it",
        commit()
    );
    Ok(())
}

/// Runs a test with a bug, or without.
fn with_bug((file, test): Noticed, bug: Option<&str>) -> Result<Output> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked"]);
    if file == HOST {
        // As all tests are built, so that only what has the feature is built anew.
        cargo.args([
            "--workspace",
            "--lib",
            "--features",
            "gristmill/seeded-bugs",
        ]);
    } else {
        cargo.args(["-p", "gristmill-store", "--features", "seeded-bugs"]);
        cargo.args(["--test", file]);
    }
    cargo.args(["--", test]);
    cargo.current_dir(workspace()).stderr(Stdio::inherit());
    // Of a failure that is wanted nobody needs the shortest form.
    cargo
        .env("GRISTMILL_MODEL_SHRINK", "0")
        .env("GRISTMILL_POWER_FAILURES", "1");
    if let Some(bug) = bug {
        cargo.env("GRISTMILL_BUG", bug).stderr(Stdio::piped());
    }
    cargo.output().context("cargo cannot be started")
}

fn bugs(options: &Options) -> Result<()> {
    let chosen =
        |(name, _): &&(&str, Noticed)| options.only.as_deref().is_none_or(|only| only == *name);
    let all: Vec<_> = BUGS.iter().filter(chosen).collect();
    ensure!(!all.is_empty(), "there is no such bug");
    let most = usize::try_from(options.runs.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let first = usize::try_from(options.seed.unwrap_or(0)).unwrap_or(0) % all.len();
    let turns = all.iter().cycle().skip(first).take(all.len().min(most));
    let turns: Vec<_> = turns.collect();
    let mut sound: Vec<Noticed> = turns.iter().map(|(_, noticed)| *noticed).collect();
    sound.sort_unstable();
    sound.dedup();
    for noticed in sound {
        let output = with_bug(noticed, None)?;
        let passed = String::from_utf8_lossy(&output.stdout).contains(" 1 passed");
        let (file, test) = noticed;
        ensure!(
            output.status.success() && passed,
            "without a bug, {file} {test} does not pass"
        );
        println!("no bug: {file} passes");
    }
    let mut unnoticed = Vec::new();
    for (name, noticed) in turns {
        let output = with_bug(*noticed, Some(name))?;
        // A test that does not end by failing has not noticed anything.
        let failed = String::from_utf8_lossy(&output.stdout).contains("test result: FAILED");
        println!("{name}: {}", if failed { "noticed" } else { "NOT NOTICED" });
        if !failed {
            unnoticed.push(*name);
        }
    }
    ensure!(
        unnoticed.is_empty(),
        "nobody notices {}",
        unnoticed.join(", ")
    );
    Ok(())
}
