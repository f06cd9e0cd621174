//! Results to stdout, talk to stderr.
//!
//! Tables have borders and colours on a terminal, and are plain aligned columns when they are
//! piped. `NO_COLOR` is respected.

use std::io::{IsTerminal, Write};

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::Failure;

/// Where and how a command shows its results.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// One JSON document instead of text.
    pub json: bool,
    /// No talk.
    pub quiet: bool,
    /// Stdout is a terminal.
    pub terminal: bool,
    /// Stdout may be coloured.
    pub color: bool,
}

impl Screen {
    /// As the surroundings ask for.
    pub fn new(json: bool, quiet: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        Screen {
            json,
            quiet,
            terminal,
            color: terminal && colors_wanted(),
        }
    }

    /// Writes a result.
    pub fn result(self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Writes a result as the one JSON document of the command.
    pub fn json(self, result: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(result)
            .map_err(|error| Failure::new(super::exit::Exit::Failed, error))?;
        self.result(&text)
    }

    /// Writes a remark.
    pub fn talk(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// An empty table with these columns.
    pub fn table(self, columns: &[Column]) -> Rows {
        Rows::new(self, columns)
    }
}

/// Whether errors may be coloured.
pub fn color_on_stderr() -> bool {
    std::io::stderr().is_terminal() && colors_wanted()
}

/// <https://no-color.org>: any value but the empty one.
fn colors_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Of words.
    Words(&'static str),
    /// Of numbers, which stand to the right.
    Number(&'static str),
}

/// What a cell wants to say by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// Somebody should look.
    Attention,
    /// Something is wrong.
    Bad,
}

/// A table that is being filled.
pub struct Rows {
    screen: Screen,
    numbers: Vec<bool>,
    table: Table,
}

impl Rows {
    fn new(screen: Screen, columns: &[Column]) -> Self {
        let mut table = Table::new();
        if screen.terminal {
            table
                .load_style(presets::UTF8_FULL_CONDENSED)
                .set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table
                .load_style(presets::NOTHING)
                .set_content_arrangement(ContentArrangement::Disabled);
        }
        if screen.color {
            table.enforce_styling();
        }
        let mut rows = Rows {
            screen,
            numbers: columns
                .iter()
                .map(|column| matches!(column, Column::Number(_)))
                .collect(),
            table,
        };
        let header: Vec<Cell> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let (Column::Words(title) | Column::Number(title)) = column;
                let cell = rows.aligned(at, Cell::new(title));
                if screen.color {
                    cell.add_attribute(Attribute::Bold)
                } else {
                    cell
                }
            })
            .collect();
        rows.table.set_header(header);
        rows
    }

    fn aligned(&self, at: usize, cell: Cell) -> Cell {
        if self.numbers.get(at) == Some(&true) {
            cell.set_alignment(CellAlignment::Right)
        } else {
            cell
        }
    }

    /// Adds a row of texts that are safe to show.
    pub fn add<const N: usize>(&mut self, row: [String; N]) {
        self.add_toned(row.map(|text| (text, Tone::Plain)));
    }

    /// Adds a row of texts that are safe to show, with what they want to say.
    pub fn add_toned<const N: usize>(&mut self, row: [(String, Tone); N]) {
        let cells = row.into_iter().enumerate().map(|(at, (text, tone))| {
            let cell = self.aligned(at, Cell::new(text));
            match tone {
                _ if !self.screen.color => cell,
                Tone::Plain => cell,
                Tone::Good => cell.fg(Color::Green),
                Tone::Attention => cell.fg(Color::Yellow),
                Tone::Bad => cell.fg(Color::Red),
            }
        });
        let cells: Vec<Cell> = cells.collect();
        self.table.add_row(cells);
    }

    /// The table as text. Piped, no line begins or ends with a blank.
    pub fn text(mut self) -> String {
        if self.screen.terminal {
            return self.table.trim_fmt();
        }
        for column in self.table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        self.table.trim_fmt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Screen = Screen {
        json: false,
        quiet: false,
        terminal: false,
        color: false,
    };

    fn sample(screen: Screen) -> String {
        let mut rows = screen.table(&[
            Column::Words("queue"),
            Column::Number("ready"),
            Column::Words("gate"),
        ]);
        rows.add(["orders".into(), "12".into(), String::new()]);
        rows.add_toned([
            ("größe".into(), Tone::Plain),
            ("3".into(), Tone::Plain),
            ("paused".into(), Tone::Bad),
        ]);
        rows.text()
    }

    #[test]
    fn a_piped_table_is_plain_aligned_columns() {
        let expected = "queue   ready  gate\norders     12\ngröße       3  paused";
        assert_eq!(sample(PIPE), expected);
    }

    #[test]
    fn colour_is_only_where_it_is_wanted() {
        let plain = sample(Screen {
            terminal: true,
            ..PIPE
        });
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let colored = sample(Screen {
            terminal: true,
            color: true,
            ..PIPE
        });
        assert!(colored.contains("\u{1b}["), "{colored}");
    }
}
