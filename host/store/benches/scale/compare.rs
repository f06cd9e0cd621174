//! Families of cases, each case in a process of its own, and the table of what they measured.
//!
//! Shared with the benchmark of the whole path, `host/benches/scale`.

use std::process::Command;

/// How often each case is run.
const RUNS: usize = 3;

/// What a case measured, by name.
type Figures = Vec<(String, f64)>;

/// What is measured at several sizes.
pub struct Family {
    pub name: &'static str,
    pub what: &'static str,
    pub sizes: fn(full: bool) -> &'static [u64],
    /// A larger size is run once.
    pub repeated_up_to: u64,
    pub run: fn(size: u64),
}

/// Says what a case measured, to the process that started it.
pub fn report(name: &str, figure: f64) {
    println!("{figure}\t{name}");
}

/// Does what the arguments say: runs one case, or the families that are named, or all.
pub fn main(families: &[Family]) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` passes an argument that a benchmark has to leave alone.
    if args.iter().any(|arg| arg == "--test") {
        return;
    }
    if let [flag, name, size] = args.as_slice()
        && flag == "--case"
    {
        let family = families.iter().find(|family| family.name == name).unwrap();
        return (family.run)(size.parse().unwrap());
    }
    let full = args.iter().any(|arg| arg == "--full");
    let once = args.iter().any(|arg| arg == "--once");
    let named = |family: &&Family| args.iter().any(|arg| arg == family.name);
    let any = families.iter().any(|family| named(&family));
    for family in families.iter().filter(|family| !any || named(family)) {
        compare(family, full, if once { 1 } else { RUNS });
    }
}

/// Runs one family at all its sizes and prints what came out.
fn compare(family: &Family, full: bool, rounds: usize) {
    let sizes = (family.sizes)(full);
    let mut runs: Vec<Vec<Figures>> = vec![Vec::new(); sizes.len()];
    for run in 0..rounds {
        for (&size, runs) in sizes.iter().zip(&mut runs) {
            if run == 0 || size <= family.repeated_up_to {
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
