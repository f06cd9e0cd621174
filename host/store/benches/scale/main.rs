//! Whether what a message costs depends on how much there is: of groups, of dedup ids within their
//! window, of messages scheduled for later, of messages that wait.
//!
//!     cargo bench -p gristmill-store --bench scale [groups | dedup | schedule | backlog] [--full]
//!
//! Every case runs in a process of its own, so that its memory is its own, and says what it measured
//! in lines of figure and name; this process runs each three times, the sizes in turn, and prints the
//! medians, with the ratio of the last column to the first that has the line. `--full` fills a backlog
//! of ten million messages too, once.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

mod backlog;
mod dedup;
mod groups;
mod rig;
mod schedule;

use std::process::Command;

/// How often each case is run.
const RUNS: usize = 3;
/// A larger one is run once.
const LARGEST_REPEATED: u64 = 1_000_000;

/// What a case measured, by name.
type Figures = Vec<(String, f64)>;

/// What is measured at several sizes.
struct Family {
    name: &'static str,
    what: &'static str,
    sizes: fn(full: bool) -> &'static [u64],
    run: fn(size: u64),
}

const FAMILIES: [Family; 4] = [
    Family {
        name: "groups",
        what: "messages of this many groups",
        sizes: |_| &[1, 1_000, 1_000_000],
        run: groups::run,
    },
    Family {
        name: "dedup",
        what: "messages with dedup ids, with this many in the window",
        sizes: |_| &[0, 1_000, 1_000_000],
        run: dedup::run,
    },
    Family {
        name: "schedule",
        what: "messages beside this many that are scheduled for later",
        sizes: |_| &[0, 1_000, 1_000_000],
        run: schedule::run,
    },
    Family {
        name: "backlog",
        what: "a queue of this many messages, filled, then drained",
        sizes: |full| match full {
            true => &[10_000, 100_000, 1_000_000, 10_000_000],
            false => &[10_000, 100_000, 1_000_000],
        },
        run: backlog::run,
    },
];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes an argument that a benchmark has to leave alone.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    if let [flag, name, size] = args.as_slice()
        && flag == "--case"
    {
        let family = FAMILIES.iter().find(|family| family.name == name).unwrap();
        return (family.run)(size.parse().unwrap());
    }
    let full = args.iter().any(|arg| arg == "--full");
    let named = |family: &&Family| args.iter().any(|arg| arg == family.name);
    let any = FAMILIES.iter().any(|family| named(&family));
    for family in FAMILIES.iter().filter(|family| !any || named(family)) {
        compare(family, full);
    }
}

/// Runs one family at all its sizes and prints what came out.
fn compare(family: &Family, full: bool) {
    let sizes = (family.sizes)(full);
    let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); sizes.len()];
    for run in 0..RUNS {
        for (&size, runs) in sizes.iter().zip(&mut runs) {
            if run == 0 || size <= LARGEST_REPEATED {
                eprintln!("{} {size}, run {}", family.name, run + 1);
                runs.push(case(family.name, size));
            }
        }
    }
    let columns: Vec<Figures> = runs.iter().map(|runs| medians(runs)).collect();
    println!("{}: {}\n", family.name, family.what);
    print!("{:<48}", "");
    for size in sizes {
        print!(" {size:>10}");
    }
    println!("      ratio");
    let mut lines: Vec<&str> = Vec::new();
    for (name, _) in columns.iter().flatten() {
        if !lines.contains(&name.as_str()) {
            lines.push(name);
        }
    }
    for line in lines {
        let figure = |column: &Figures| {
            let found = column.iter().find(|(name, _)| name == line);
            found.map(|&(_, figure)| figure)
        };
        print!("{line:<48}");
        for column in &columns {
            match figure(column) {
                Some(figure) if figure < 100.0 => print!(" {figure:>10.2}"),
                Some(figure) => print!(" {figure:>10.0}"),
                None => print!(" {:>10}", "–"),
            }
        }
        let known: Vec<f64> = columns.iter().filter_map(figure).collect();
        match known.as_slice() {
            [first, .., last] => println!("  {:>8.2}×", last / first),
            _ => println!(),
        }
    }
    println!();
}

/// The median of each figure.
fn medians(runs: &[Figures]) -> Figures {
    let median = |name: &String| {
        let of_name = |run: &Figures| run.iter().find(|(other, _)| other == name).map(|f| f.1);
        let mut figures: Vec<f64> = runs.iter().filter_map(of_name).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let names = runs[0].iter().map(|(name, _)| name);
    names.map(|name| (name.clone(), median(name))).collect()
}

/// Runs one case in a process of its own.
fn case(name: &str, size: u64) -> Figures {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--case", name, &size.to_string()])
        .stderr(std::process::Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{name} {size} failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(figure, name)| (name.to_owned(), figure.parse().unwrap()))
        .collect()
}
