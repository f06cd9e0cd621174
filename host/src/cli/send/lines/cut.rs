//! Cutting a source into batches of lines.

use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use gristmill_queue::{NewMessage, limits};
use tokio::sync::mpsc;

/// The most lines of a batch.
pub const MAX_LINES: usize = 2000;
/// The most bytes of a batch, attributes and the like included. In JSON a byte may become six.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a message costs in a batch beside its texts.
const OVERHEAD: usize = 64;
/// The longest line.
#[expect(clippy::cast_possible_truncation, reason = "it is 1 MiB")]
pub const MAX_LINE: usize = limits::MAX_INLINE as usize;

/// A line of the source, without its end.
pub struct Line {
    pub number: u64,
    pub body: Bytes,
}

/// A batch as it was read.
#[derive(Default)]
pub struct Batch {
    pub lines: Vec<Line>,
    /// Lines that no queue takes.
    pub too_long: Vec<u64>,
    /// Bytes of the source up to its end.
    pub until: u64,
}

impl Batch {
    fn len(&self) -> usize {
        self.lines.len() + self.too_long.len()
    }
}

/// What a message like this adds to a batch beside its body.
pub fn cost(pattern: &NewMessage) -> usize {
    let envelope = &pattern.envelope;
    let attributes: usize = envelope
        .attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let fields = [
        &envelope.content_type,
        &envelope.group,
        &envelope.correlation_id,
        &envelope.message_type,
        &envelope.schema_version,
        &envelope.source,
        &envelope.traceparent,
        &envelope.tracestate,
    ];
    OVERHEAD + attributes + fields.into_iter().flatten().map(String::len).sum::<usize>()
}

/// Cuts a source into batches of lines, until nobody takes them. Says how many lines were blank.
pub fn cut(
    mut source: BufReader<impl Read>,
    live: bool,
    each: usize,
    batches: &mpsc::Sender<Batch>,
) -> std::io::Result<u64> {
    let mut batch = Batch::default();
    let (mut bytes, mut blank, mut number, mut until) = (0, 0, 0, 0);
    while let Some((line, read)) = read_line(&mut source)? {
        number += 1;
        until += read;
        match line {
            Some(body) if body.is_empty() => blank += 1,
            Some(body) => {
                bytes += body.len() + each;
                batch.lines.push(Line { number, body });
            }
            None => batch.too_long.push(number),
        }
        // What a person types, or a slow program writes, is not held back until there is more.
        let waits = live && source.buffer().is_empty();
        if batch.len() >= MAX_LINES || bytes >= MAX_BYTES || (waits && batch.len() > 0) {
            bytes = 0;
            batch.until = until;
            if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                return Ok(blank);
            }
        }
    }
    if batch.len() > 0 {
        batch.until = until;
        // If nobody takes it, sending has stopped, and the report says so.
        let _ = batches.blocking_send(batch);
    }
    Ok(blank)
}

/// The next line without its end, and how many bytes were read; the line is `None` if it is longer
/// than any body. `None` at the end of the source.
fn read_line(source: &mut impl BufRead) -> std::io::Result<Option<(Option<Bytes>, u64)>> {
    let (mut line, mut read, mut too_long) = (Vec::new(), 0, false);
    loop {
        let found = match source.fill_buf() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            if read == 0 {
                return Ok(None);
            }
            break;
        }
        let end = found.iter().position(|&byte| byte == b'\n');
        let part = &found[..end.unwrap_or(found.len())];
        too_long |= line.len() + part.len() > MAX_LINE;
        if !too_long {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        source.consume(taken);
        read += taken as u64;
        if end.is_some() {
            break;
        }
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    Ok(Some(((!too_long).then(|| line.into()), read)))
}
