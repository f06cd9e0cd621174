//! What a program writes, as far as it is more than a log: lines for a queue, and its last words.

use crate::runtime::output::{Source, TAIL};

/// Lines of stderr that make the reason of a failure.
pub(super) const MAX_REASON_LINES: usize = 5;

/// The two streams of a program.
#[derive(Default)]
pub(in crate::runtime) struct Streams {
    /// The most bytes of stdout, if it goes to a queue.
    most: Option<u64>,
    stdout: Vec<u8>,
    too_much: bool,
    stderr: Vec<u8>,
}

impl Streams {
    pub(in crate::runtime) fn new(most: Option<u64>) -> Self {
        Streams {
            most,
            ..Streams::default()
        }
    }

    /// Takes what is written, and says whether that was all that is to be done with it.
    pub(in crate::runtime) fn take(&mut self, source: Source, bytes: &[u8]) -> bool {
        match (source, self.most) {
            (Source::Stderr, _) => {
                self.stderr
                    .extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
                if self.stderr.len() > 2 * TAIL {
                    self.stderr.drain(..self.stderr.len() - TAIL);
                }
                false
            }
            (Source::Stdout, None) => false,
            (Source::Stdout, Some(most)) => {
                // With the ends of lines and blank ones, which are not sent, there may be more.
                let room = most
                    .saturating_mul(2)
                    .saturating_sub(self.stdout.len() as u64);
                self.too_much |= bytes.len() as u64 > room;
                if !self.too_much {
                    self.stdout.extend_from_slice(bytes);
                }
                true
            }
        }
    }

    /// What was written to stdout; `None` if it was too much.
    pub(in crate::runtime) fn take_stdout(&mut self) -> Option<Vec<u8>> {
        let written = std::mem::take(&mut self.stdout);
        (!self.too_much).then_some(written)
    }

    /// The last lines of stderr that are not blank.
    pub(in crate::runtime) fn last_lines(&self, most: usize) -> String {
        let start = self.stderr.len().saturating_sub(TAIL);
        let text = String::from_utf8_lossy(&self.stderr[start..]);
        let mut lines: Vec<&str> = text
            .lines()
            .map(str::trim_end)
            .rev()
            .filter(|line| !line.is_empty())
            .take(most)
            .collect();
        lines.reverse();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_end_of_stderr() {
        let mut streams = Streams::new(None);
        assert!(!streams.take(Source::Stdout, b"not this\n"));
        for line in 0..5000 {
            assert!(!streams.take(Source::Stderr, format!("line {line}\n\n").as_bytes()));
        }
        assert_eq!(streams.last_lines(2), "line 4998\nline 4999");
        assert!(streams.stderr.len() <= 2 * TAIL);
    }

    #[test]
    fn what_goes_to_a_queue_is_bounded() {
        let mut streams = Streams::new(Some(4));
        assert!(streams.take(Source::Stdout, b"12\n\n34\n"));
        assert_eq!(streams.take_stdout().unwrap(), b"12\n\n34\n");
        assert!(streams.take(Source::Stdout, b"123456789"));
        assert!(streams.take(Source::Stdout, b"0"));
        assert_eq!(streams.take_stdout(), None);
    }
}
