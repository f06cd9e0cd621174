//! What is wrong with a configuration, where, and what to do: for people and for machines.
//!
//! Knows places in a text and how to show them; does not know what a queue or a handler is.
//! A problem carries the line it is about, so that it can be shown after the text is gone. Values
//! of secrets that were written into the file by mistake are blotted out of these lines.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::defaults;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but is probably not what was meant.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 if the problem is the file itself.
    pub line: usize,
    /// The character in the line, from 1; 0 if the problem is the file itself.
    pub column: usize,
    /// The key, written in full (`queue.orders.ttl`); empty if the problem is no key's.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    #[serde(skip)]
    excerpt: Option<Excerpt>,
}

/// The line of a problem and the part of it that is underlined, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    line: String,
    mark: Range<usize>,
}

impl Problem {
    /// A problem of the file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, message: String, help: Option<String>) -> Self {
        Problem {
            severity: Severity::Error,
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message,
            help,
            excerpt: None,
        }
    }

    /// The problem as a person reads it: message, place, line and cure, with or without colour.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let file = self.file.display().to_string();
        let mut group = Group::with_title(level.primary_title(self.message.as_str()));
        if let Some(Excerpt { line, mark }) = &self.excerpt {
            group = group.element(
                Snippet::source(line.as_str())
                    .line_start(self.line)
                    .path(file)
                    .annotation(AnnotationKind::Primary.span(mark.clone())),
            );
        } else if self.line > 0 {
            group = group.element(Origin::path(file).line(self.line).char_column(self.column));
        } else {
            group = group.element(Origin::path(file));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.decor_style(DecorStyle::Ascii).render(&[group])
    }
}

/// Why a configuration cannot be used: every problem of it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigErrors {
    /// The problems, warnings included; at most [`defaults::MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many problems there are besides these.
    pub left_out: usize,
}

impl ConfigErrors {
    /// All problems as a person reads them, with or without colour.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let mut text = render(&self.problems, color);
        if self.left_out > 0 {
            text.push_str(&format!("\n\nand {} more", self.left_out));
        }
        text
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        ConfigErrors {
            problems: vec![problem],
            left_out: 0,
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}

/// Several problems as a person reads them, with a blank line between them.
#[must_use]
pub fn render(problems: &[Problem], color: bool) -> String {
    let shown: Vec<String> = problems.iter().map(|p| p.render(color)).collect();
    shown.join("\n\n")
}

/// A place in the text: bytes from … to ….
pub type Place = Range<usize>;

/// Collects the problems of one text.
pub struct Problems<'t> {
    file: &'t Path,
    text: &'t str,
    /// Where each line but the last ends.
    ends: Vec<usize>,
    found: Vec<Found>,
    left_out: usize,
    /// Where secrets were written down.
    blots: Vec<Place>,
}

#[derive(PartialEq, Eq)]
struct Found {
    place: Place,
    severity: Severity,
    key: String,
    message: String,
    help: Option<String>,
}

impl<'t> Problems<'t> {
    /// Nothing found yet in this text of this file.
    pub fn new(file: &'t Path, text: &'t str) -> Self {
        Problems {
            file,
            text,
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            found: Vec::new(),
            left_out: 0,
            blots: Vec::new(),
        }
    }

    /// Notes an error and its cure. Told twice, it is noted once.
    pub fn error(
        &mut self,
        place: Place,
        key: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.note(Severity::Error, place, key, message.into(), help.into());
    }

    /// Notes a warning and its cure.
    pub fn warning(
        &mut self,
        place: Place,
        key: &str,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.note(Severity::Warning, place, key, message.into(), help.into());
    }

    fn note(
        &mut self,
        severity: Severity,
        place: Place,
        key: &str,
        message: String,
        help: Option<String>,
    ) {
        let found = Found {
            place,
            severity,
            key: key.to_owned(),
            message,
            help,
        };
        // Counted for each severity, so that warnings cannot crowd out an error.
        let alike = self.found.iter().filter(|one| one.severity == severity);
        if alike.count() == defaults::MAX_COLLECTED {
            self.left_out += 1;
        } else if !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    /// Whether an error was noted for one of these keys, of a queue or a handler, or for the same
    /// key among the defaults for all: then what is wrong with them together is not known.
    pub fn blame(&self, keys: &[String]) -> bool {
        self.found.iter().any(|one| {
            let shared = one.key.strip_prefix("defaults.");
            one.severity == Severity::Error
                && keys.iter().any(|key| {
                    shared.map_or(*key == one.key, |shared| same_but_for_name(key, shared))
                })
        })
    }

    /// Keeps this part of the text out of everything that is shown.
    pub fn blot_out(&mut self, place: Place) {
        self.blots.push(place);
    }

    /// The number of the line of a place, from 1.
    pub fn line_of(&self, place: &Place) -> usize {
        self.ends.partition_point(|end| *end < place.start) + 1
    }

    /// Forgets what was found where the text could not be read: in the lines of these places, and
    /// below a header that is one of them. What such lines seem to say is not worth a message.
    pub fn forget_about(&mut self, unread: &[Place]) {
        let ranges: Vec<Place> = unread.iter().map(|place| self.reach(place)).collect();
        self.found
            .retain(|one| !ranges.iter().any(|range| range.contains(&one.place.start)));
    }

    /// From the beginning of the line of a place to its end; of a header, to the next header.
    fn reach(&self, place: &Place) -> Place {
        let start = self.text.floor_char_boundary(place.start);
        let begin = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let until = if self.text[begin..].trim_start().starts_with('[') {
            "\n["
        } else {
            "\n"
        };
        let end = self.text[start..]
            .find(until)
            .map_or(self.text.len(), |at| start + at);
        begin..end + 1
    }

    /// The warnings, in the order of the text, if there is nothing worse.
    ///
    /// # Errors
    /// All problems, if there is at least one error.
    pub fn finish(self) -> Result<Vec<Problem>, ConfigErrors> {
        if self.found.iter().any(|one| one.severity == Severity::Error) {
            Err(self.fail())
        } else {
            Ok(self.fail().problems)
        }
    }

    /// All problems, in the order of the text.
    pub fn fail(mut self) -> ConfigErrors {
        let mut found = std::mem::take(&mut self.found);
        // Of too many, the errors are kept first.
        found.sort_by_key(|one| (one.severity == Severity::Warning, one.place.start));
        let left_out = self.left_out + found.len().saturating_sub(defaults::MAX_PROBLEMS);
        found.truncate(defaults::MAX_PROBLEMS);
        found.sort_by_key(|one| (one.place.start, one.place.end));
        ConfigErrors {
            problems: found.into_iter().map(|one| self.locate(one)).collect(),
            left_out,
        }
    }

    fn locate(&self, found: Found) -> Problem {
        let start = self.text.floor_char_boundary(found.place.start);
        let begin = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |at| start + at);
        let line = self.text[begin..end].trim_end_matches('\r');
        // A place may lie behind the line: at the end of the text, or in what ends the line.
        let end_of = |at: usize| self.text.floor_char_boundary(at).min(begin + line.len());
        let mark = end_of(start) - begin..end_of(found.place.end.max(start)) - begin;
        Problem {
            severity: found.severity,
            file: self.file.to_owned(),
            line: self.line_of(&(start..start)),
            column: self.text[begin..start].chars().count() + 1,
            key: found.key,
            message: found.message,
            help: found.help,
            excerpt: (line.len() <= defaults::MAX_EXCERPT).then(|| Excerpt {
                line: self.blotted(line, begin),
                mark,
            }),
        }
    }

    /// A line that begins at `begin`, with as many asterisks as bytes in place of secrets.
    fn blotted(&self, line: &str, begin: usize) -> String {
        let hidden = |at: usize| self.blots.iter().any(|blot| blot.contains(&at));
        line.char_indices()
            .flat_map(|(at, c)| {
                let hide = hidden(begin + at);
                std::iter::repeat_n(
                    if hide { '*' } else { c },
                    if hide { c.len_utf8() } else { 1 },
                )
            })
            .collect()
    }
}

/// Whether `queue.orders.ttl` is `queue.ttl` of a queue.
fn same_but_for_name(key: &str, shared: &str) -> bool {
    shared.split_once('.').is_some_and(|(room, leaf)| {
        key.starts_with(room)
            && key
                .strip_suffix(leaf)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}
