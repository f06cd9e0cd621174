//! The table of what was measured, and its place in docs/performance.md.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};
use gristmill_tests::workspace;

use super::run::Ran;
use super::system::{LEVELS, Level, System};
use crate::figures::{Median, grouped, short};

const BEGIN: &str = "<!-- made by `gristmill-bench peers --write`: begin -->";
const END: &str = "<!-- made by `gristmill-bench peers --write`: end -->";
const DOCUMENT: &str = "docs/performance.md";
const PLOT: &str = "docs/peers.svg";

/// All runs of a system at a level.
pub struct Row {
    pub system: System,
    pub level: Level,
    pub runs: Vec<Ran>,
    /// Calls that make something durable, for each message.
    pub syncs: Option<f64>,
}

impl Row {
    pub fn new(system: System, level: Level) -> Self {
        Row {
            system,
            level,
            runs: Vec::new(),
            syncs: None,
        }
    }

    pub fn is_of(&self, system: System, level: Level) -> bool {
        self.system == system && self.level == level
    }

    pub fn median(&self, of: impl Fn(&Ran) -> f64) -> Median {
        Median::of(self.runs.iter().map(of))
    }

    pub fn rate(&self) -> Median {
        self.median(|ran| ran.rate)
    }
}

pub fn text(
    systems: &[System],
    rows: &[Row],
    idle: &[(System, Ran)],
    load: &str,
    runs: usize,
) -> Result<String> {
    let mut text = String::new();
    writeln!(
        text,
        "Medians of {runs} runs, in rounds; in parentheses the least and the greatest. Load of the machine: {load}. Ratios are to *Gristmill, fresh* in the same rounds.\n"
    )?;
    for level in LEVELS {
        table(&mut text, rows, level)?;
    }
    writeln!(
        text,
        "Nearly idle, 200 messages a second, from the send until it is handled:\n\n| | p50 ms | p99 ms |\n|---|--:|--:|"
    )?;
    for (system, ran) in idle {
        writeln!(
            text,
            "| {} | {} | {} |",
            system.name(),
            short(ran.p50),
            short(ran.p99)
        )?;
    }
    writeln!(text, "\n| | version | settings |\n|---|---|---|")?;
    for system in systems {
        let (version, settings) = (system.version()?, system.settings());
        writeln!(text, "| {} | {version} | {settings} |", system.name())?;
    }
    Ok(text)
}

fn table(text: &mut String, rows: &[Row], level: Level) -> Result<()> {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.level == level).collect();
    let own = rows.iter().find(|row| row.system == System::Fresh);
    writeln!(
        text,
        "**{} unconfirmed {}**\n\n| | messages/s | ratio | p50 / p99 ms | CPU µs each | ratio | fsyncs each | bytes written each | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        level.unconfirmed,
        if level.unconfirmed == 1 {
            "send"
        } else {
            "sends"
        },
    )?;
    for row in &rows {
        let rate = row.rate();
        let (p50, p99) = (row.median(|ran| ran.p50), row.median(|ran| ran.p99));
        let cpu = row.median(|ran| ran.cpu);
        // Round by round: what stands beside each other was measured after each other.
        let ratio = |of: fn(&Ran) -> f64| {
            let own = own.filter(|own| own.runs.len() == row.runs.len());
            own.map_or_else(String::new, |own| {
                let pairs = row.runs.iter().zip(&own.runs);
                short(Median::of(pairs.map(|(one, own)| of(one) / of(own))).middle)
            })
        };
        writeln!(
            text,
            "| {} | {} ({}–{}) | {} | {} / {} | {} | {} | {} | {} | {} |",
            row.system.name(),
            grouped(rate.middle),
            grouped(rate.least),
            grouped(rate.greatest),
            ratio(|ran| ran.rate),
            short(p50.middle),
            short(p99.middle),
            short(cpu.middle),
            ratio(|ran| ran.cpu),
            row.syncs.map_or_else(|| "–".to_owned(), short),
            grouped(row.median(|ran| ran.written).middle),
            peak(row.median(|ran| ran.peak_mib).greatest),
        )?;
    }
    text.push('\n');
    Ok(())
}

/// The limit line is in this process, whose memory says nothing.
fn peak(mebibytes: f64) -> String {
    if mebibytes > 0.0 {
        grouped(mebibytes)
    } else {
        "–".to_owned()
    }
}

/// Puts the table into the document, and the plot beside it.
pub fn write(text: &str, svg: &str) -> Result<()> {
    let path = workspace().join(DOCUMENT);
    let document = fs::read_to_string(&path)?;
    fs::write(&path, between(&document, text)?)?;
    fs::write(workspace().join(PLOT), svg)?;
    Ok(())
}

fn between(document: &str, text: &str) -> Result<String> {
    let missing = || format!("{DOCUMENT} has no {BEGIN} and {END}");
    let (before, rest) = document.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        text.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_the_marks_is_replaced() {
        let document = format!("before\n{BEGIN}\nold\n{END}\nafter");
        let written = between(&document, "new\n").unwrap();
        assert_eq!(written, format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter"));
        assert!(between("nothing", "new").is_err());
    }

    #[test]
    fn the_document_has_the_marks() {
        let document = fs::read_to_string(workspace().join(DOCUMENT)).unwrap();
        assert!(between(&document, "new").is_ok());
        assert!(document.contains("(peers.svg)"));
    }
}
