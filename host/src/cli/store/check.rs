//! `gristmill store check`

use std::path::Path;

use gristmill_store::{CheckReport, Problem, check_store_by};
use serde::Serialize;

use super::Bar;
use super::verify::verify;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::{Column, Screen, Tone};
use crate::cli::{Global, text};

/// How many problems are shown to a person; `--json` has more.
const MAX_SHOWN: usize = 100;

#[derive(clap::Args, Debug)]
pub struct Check {}

#[derive(Serialize)]
struct ReportJson<'r> {
    ok: bool,
    store_bytes: u64,
    tables: Vec<TableJson>,
    large_bodies: BodiesJson,
    problems: Vec<ProblemJson<'r>>,
    more_problems: u64,
    remarks: &'r [String],
}

#[derive(Serialize)]
struct TableJson {
    name: &'static str,
    sound: u64,
    damaged: u64,
    unreadable_parts: u64,
}

#[derive(Serialize)]
struct BodiesJson {
    sound: u64,
    bytes: u64,
    damaged: u64,
}

#[derive(Serialize)]
struct ProblemJson<'r> {
    place: &'static str,
    record: &'r str,
    message: Option<String>,
    queue: Option<&'r str>,
    what: &'r str,
    advice: &'static str,
}

impl Check {
    pub fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let folder = global.data_dir(&global.load());
        let bar = Bar::new(screen);
        let mut progress = |what: &str, done, of| bar.show(what, done, of);
        let report = check_store_by(&verify, &folder, &mut progress);
        drop(bar);
        let report = report?;
        if screen.json {
            screen.json(&json(&report))?;
        } else {
            show(&folder, &report, screen)?;
        }
        if report.is_sound() {
            Ok(())
        } else {
            Err(Failure::silent(Exit::Damaged))
        }
    }
}

fn json(report: &CheckReport) -> ReportJson<'_> {
    let tables = report.tables.iter().map(|table| TableJson {
        name: table.name,
        sound: table.sound,
        damaged: table.damaged,
        unreadable_parts: table.unreadable,
    });
    let problems = report.problems.iter().map(|problem| ProblemJson {
        place: problem.place,
        record: &problem.record,
        message: problem.message.map(|id| id.to_string()),
        queue: problem.queue.as_ref().map(|queue| queue.as_str()),
        what: &problem.what,
        advice: problem.advice,
    });
    ReportJson {
        ok: report.is_sound(),
        store_bytes: report.bytes,
        tables: tables.collect(),
        large_bodies: BodiesJson {
            sound: report.bodies.sound,
            bytes: report.bodies.bytes,
            damaged: report.bodies.damaged,
        },
        problems: problems.collect(),
        more_problems: report.more,
        remarks: &report.remarks,
    }
}

fn show(folder: &Path, report: &CheckReport, screen: Screen) -> Result<(), Failure> {
    screen.result(&table(report, screen))?;
    for problem in report.problems.iter().take(MAX_SHOWN) {
        screen.result(&words(problem))?;
    }
    let more = report.problems.len().saturating_sub(MAX_SHOWN) as u64 + report.more;
    if more > 0 {
        screen.result(&format!("{more} more problems"))?;
    }
    for remark in &report.remarks {
        screen.talk(&text::line(remark));
    }
    let size = text::size(report.bytes + report.bodies.bytes);
    let folder = folder.display();
    if report.is_sound() {
        screen.talk(&format!("{folder}: {size} verified, no damage"));
    } else {
        screen.talk(&format!("{folder}: the store is damaged"));
    }
    Ok(())
}

fn table(report: &CheckReport, screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("table"),
        Column::Number("sound"),
        Column::Number("damaged"),
        Column::Number("unreadable parts"),
    ]);
    let mut add = |name: &str, numbers: [u64; 3]| {
        let tone = |number: u64| if number > 0 { Tone::Bad } else { Tone::Plain };
        let [sound, damaged, unreadable] = numbers;
        rows.add_toned([
            (name.to_owned(), Tone::Plain),
            (sound.to_string(), Tone::Plain),
            (damaged.to_string(), tone(damaged)),
            (unreadable.to_string(), tone(unreadable)),
        ]);
    };
    for table in &report.tables {
        add(table.name, [table.sound, table.damaged, table.unreadable]);
    }
    add(
        "large bodies",
        [report.bodies.sound, report.bodies.damaged, 0],
    );
    rows.text()
}

/// A problem in one line: where, which, of which queue, what, and what to do.
fn words(problem: &Problem) -> String {
    let mut words = problem.place.to_owned();
    if !problem.record.is_empty() {
        words.push(' ');
        words.push_str(&problem.record);
    }
    if let Some(id) = problem.message {
        words.push_str(&format!(", message {id}"));
    }
    if let Some(queue) = &problem.queue {
        words.push_str(&format!(", queue {queue}"));
    }
    text::line(&format!("{words}: {}; {}", problem.what, problem.advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_that_says_what_to_do() {
        let problem = Problem {
            place: "message",
            record: "number 7".into(),
            message: None,
            queue: gristmill_queue::QueueName::new("orders").ok(),
            what: "the message is not what\nwas sent".into(),
            advice: "restore a backup",
        };
        assert_eq!(
            words(&problem),
            "message number 7, queue orders: the message is not what\\nwas sent; restore a backup"
        );
    }
}
