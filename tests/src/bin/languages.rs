//! What handlers cost in each language: the table of the README, measured.
//!
//! Builds the example `orders` in every language from source, and lets `gristmill handlers inspect` load it
//! and call it, as the host would. With `--write` the table goes into the README, between its markers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use gristmill_tests::languages::LANGUAGES;
use gristmill_tests::{commit, gristmill, workspace};
use serde_json::Value;

const HELP: &str = "\
Measures what handlers cost in each language, with the program of this profile.

usage: cargo languages [-- OPTIONS]

  --write         put the table into the README
  --program FILE  measure this gristmill instead of one that is built now
  --help          this text";

const ORDER: &str = r#"{"id":"o-1","customer":"ada","currency":"EUR","lines":[{"sku":"mill","quantity":2,"unit_price_cents":1250},{"sku":"sack","quantity":1,"unit_price_cents":5}]}"#;
const BEGIN: &str = "<!-- made by `cargo languages`: begin -->";
const END: &str = "<!-- made by `cargo languages`: end -->";
/// How often something short is timed; the median counts.
const RUNS: usize = 9;

/// What a row says.
struct Row {
    title: &'static str,
    module_bytes: u64,
    compile: Duration,
    load: Duration,
    fresh_us: u64,
    reused_us: Option<u64>,
    peak_memory_bytes: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut write, mut program) = (false, None);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--");
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--write" => write = true,
            "--program" => program = Some(args.next().context("--program needs a file")?.into()),
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            _ => bail!("{arg} is not known\n\n{HELP}"),
        }
    }
    let program: PathBuf = match program {
        Some(program) => program,
        None => gristmill()?.to_owned(),
    };
    let bench = Bench {
        program,
        folder: tempfile::tempdir()?,
    };
    let folder = &bench.folder;
    fs::write(folder.path().join("gristmill.toml"), "[queue.none]\n")?;
    // What the program does before and after it has loaded a module.
    let empty = folder.path().join("empty.wasm");
    fs::write(&empty, "")?;
    let around = median(|| bench.timed(&empty, &[], false).map(|(time, _)| time))?;
    let mut rows = Vec::new();
    for language in LANGUAGES {
        let Some(module) = (language.orders)()? else {
            continue;
        };
        eprintln!("{} …", language.title);
        rows.push(bench.measure(language.title, &module, around)?);
    }
    let table = table(&rows, &bench.program)?;
    println!("{table}");
    if write {
        let path = workspace().join("README.md");
        let readme = fs::read_to_string(&path)?;
        let (before, rest) = readme
            .split_once(BEGIN)
            .context("the README has no marker")?;
        let (_, after) = rest
            .split_once(END)
            .context("the README has no closing marker")?;
        fs::write(path, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))?;
    }
    Ok(())
}

/// Where modules are measured.
struct Bench {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench {
    fn measure(&self, title: &'static str, module: &Path, around: Duration) -> Result<Row> {
        let call = ["--call", ORDER];
        let before = cpu_of_children()?;
        let (_, first) = self.timed(module, &call, true)?;
        let cpu = cpu_of_children()? - before;
        ensure!(
            first["call"]["outcome"] == "done",
            "{title}: {}",
            first["call"]
        );
        let compiled = !first["version"]["compile_ms"].is_null();
        ensure!(
            compiled,
            "{title} was not compiled, although the folder is new"
        );
        // Once more: now nothing is there for the first time, and nothing is compiled.
        let before = cpu_of_children()?;
        let (_, again) = self.timed(module, &call, true)?;
        let calls = cpu_of_children()? - before;
        let number = |name: &str| again["call"][name].as_u64();
        let load = median(|| {
            let (time, report) = self.timed(module, &[], true)?;
            let cached = report["version"]["compile_ms"].is_null();
            ensure!(cached, "{title} was compiled again");
            Ok(time)
        })?;
        Ok(Row {
            title,
            module_bytes: fs::metadata(module)?.len(),
            compile: cpu.saturating_sub(calls),
            load: load.saturating_sub(around),
            fresh_us: number("fresh_us").with_context(|| format!("{title}: no fresh call"))?,
            reused_us: number("reused_us"),
            peak_memory_bytes: number("peak_memory_bytes").unwrap_or(0),
        })
    }

    /// Inspects a module, and says how long that took and what was found.
    fn timed(&self, module: &Path, args: &[&str], fine: bool) -> Result<(Duration, Value)> {
        let mut inspect = Command::new(&self.program);
        inspect.current_dir(self.folder.path());
        inspect.args(["handlers", "inspect"]);
        inspect.arg(module).arg("--json").args(args);
        let began = Instant::now();
        let output = inspect.output()?;
        let took = began.elapsed();
        ensure!(
            output.status.success() == fine,
            "{}: {}{}",
            module.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok((took, report))
    }
}

/// What programs that this one has run, and that have ended, have computed: user and system time, in
/// hundredths of a second.
fn cpu_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name, which is in parentheses, come the state and thirteen numbers before these two.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: Option<u64> = fields
        .skip(13)
        .take(2)
        .map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(
        ticks.context("the times of /proc")? * 10,
    ))
}

fn median(mut time: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut times = (0..RUNS).map(|_| time()).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

fn table(rows: &[Row], program: &Path) -> Result<String> {
    let mut table = String::from(
        "| language | module | compile, once (CPU) | load, compiled before | fresh call | reused call | peak memory |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let reused = row.reused_us.map_or("–".to_owned(), micros);
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} | {reused} | {} |\n",
            row.title,
            size(row.module_bytes),
            micros(whole_micros(row.compile)),
            micros(whole_micros(row.load)),
            micros(row.fresh_us),
            size(row.peak_memory_bytes),
        ));
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let profile = program.parent().and_then(Path::file_name);
    let profile = profile.unwrap_or_default().display();
    let cpus = std::thread::available_parallelism()?;
    table.push_str(&format!(
        "\nThe example `orders` with one order of two lines, at {} on {cpus} CPUs ({profile} build, load {load} at \
         the end). A call is the median of up to 50, from the start of the instance's work to its end.\n",
        commit()
    ));
    Ok(table)
}

fn whole_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn micros(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..100_000 => format!("{:.1} ms", us as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
