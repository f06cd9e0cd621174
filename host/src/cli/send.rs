//! `gristmill send`

mod lines;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::message::{Due, Priority};
use gristmill_queue::{Envelope, MessageId, NewMessage, QueueName, Timestamp, limits};

use super::Global;
use super::door::Door;
use super::exit::{Exit, Failure};
use super::print::Screen;
use crate::config::value;

#[derive(clap::Args, Debug)]
pub struct Send {
    /// The queue or topic
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// The body, or - to read it from stdin; with --lines stdin is read unless something is given
    #[arg(required_unless_present_any = ["file", "lines"], conflicts_with = "file")]
    body: Option<String>,
    /// Read the body from a file
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Send each line as a message; blank lines are skipped
    #[arg(long, short, conflicts_with = "dedup_id")]
    lines: bool,
    /// With --lines: print the id of each message
    #[arg(long, requires = "lines")]
    ids: bool,
    #[command(flatten)]
    about: About,
}

/// What the sender says about each message, and when it is due.
#[derive(clap::Args, Debug)]
pub(super) struct About {
    #[command(flatten)]
    said: Said,
    /// Due only after this time, such as 30s or 2h
    #[arg(long, value_name = "TIME", value_parser = value::typed)]
    delay: Option<Duration>,
    /// Due at this time, such as 2026-12-24T18:00:00Z or 2026-12-24T18:00[Europe/Berlin]
    #[arg(long, value_name = "TIME", value_parser = super::point_in_time, conflicts_with = "delay")]
    at: Option<Timestamp>,
    /// Expires after this time, such as 1d
    #[arg(long, value_name = "TIME", value_parser = value::typed)]
    ttl: Option<Duration>,
    /// A second message with this id is not created within the window of the queue
    #[arg(long, value_name = "ID")]
    dedup_id: Option<String>,
}

/// What the sender says about a message.
#[derive(clap::Args, Debug)]
pub(super) struct Said {
    /// An attribute; may be given several times
    #[arg(long = "attribute", alias = "attr", short, value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The media type of the body; a file's is guessed from its name
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The ordering key: messages of a group are handled in order, one at a time
    #[arg(long, short)]
    group: Option<String>,
    /// 0 to 9, higher first; 4 unless given
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// Ties a reply to its request
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// The message that led to this one
    #[arg(long, value_name = "MESSAGE")]
    causation_id: Option<MessageId>,
    /// The queue for the answer
    #[arg(long, value_name = "QUEUE", value_parser = super::queue_name)]
    reply_to: Option<QueueName>,
    /// What kind of message it is, such as order.placed
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// The version of the schema that the body follows
    #[arg(long, value_name = "VERSION")]
    schema_version: Option<String>,
    /// Who sends it, such as the name or URI of a service
    #[arg(long)]
    source: Option<String>,
    /// The traceparent of W3C Trace Context
    #[arg(long, value_name = "CONTEXT")]
    traceparent: Option<String>,
    /// The tracestate of W3C Trace Context
    #[arg(long, value_name = "LIST", requires = "traceparent")]
    tracestate: Option<String>,
}

impl Said {
    /// The envelope; a content type that is not given is guessed from the file's name.
    pub(super) fn envelope(&self, file: Option<&Path>) -> Envelope {
        let guessed = file.and_then(content_type).map(str::to_owned);
        Envelope {
            content_type: self.content_type.clone().or(guessed),
            attributes: self.attributes.clone(),
            group: self.group.clone(),
            correlation_id: self.correlation_id.clone(),
            causation_id: self.causation_id,
            reply_to: self.reply_to.clone(),
            message_type: self.message_type.clone(),
            schema_version: self.schema_version.clone(),
            source: self.source.clone(),
            traceparent: self.traceparent.clone(),
            tracestate: self.tracestate.clone(),
            priority: self.priority.and_then(Priority::new).unwrap_or_default(),
        }
    }
}

impl About {
    /// A message without a body; a content type that is not given is guessed from the file's name.
    pub(super) fn message(&self, file: Option<&Path>) -> NewMessage {
        NewMessage {
            body: Bytes::new(),
            blob: None,
            envelope: self.said.envelope(file),
            due: match (self.at, self.delay) {
                (Some(time), _) => Due::At(time),
                (None, delay) => delay.map_or(Due::Now, Due::After),
            },
            ttl: self.ttl,
            dedup_id: self.dedup_id.clone(),
        }
    }
}

impl Send {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let pattern = self.about.message(self.file.as_deref());
        let source = self.source()?;
        if self.lines {
            let door = Door::open(global).await?;
            let report = lines::send(&door, &self.queue, &pattern, source, screen, self.ids).await;
            door.close().await;
            return report?.show(screen);
        }
        let body = source.begin()?;
        let door = Door::open(global).await?;
        let sent = match body {
            Begun::Whole(body) => {
                let message = NewMessage { body, ..pattern };
                let sent = door.send_all(&self.queue, vec![message]).await;
                sent.map(|sent| sent.into_iter().next())
            }
            Begun::Large(body) => {
                let sent = door.send_large(&self.queue, pattern, body).await;
                sent.map(Some)
            }
        };
        door.close().await;
        let Some(sent) = sent? else {
            return Err(Failure::new(Exit::StoreFailed, "no answer to the message"));
        };
        if screen.json {
            return screen.json(&sent);
        }
        if sent.conflict {
            screen.talk("a message with this dedup id was sent before, with another body: this one was not taken");
        } else if sent.duplicate {
            screen.talk("a message with this dedup id was sent before: no second one was made");
        }
        if let Some(copies) = &sent.copies {
            let queues: Vec<&str> = copies.iter().map(|copy| copy.queue.as_str()).collect();
            if queues.is_empty() {
                screen.talk("no subscription of the topic matches: it went nowhere");
            } else {
                screen.talk(&format!("copied to {}", queues.join(", ")));
            }
        }
        screen.result(&sent.id)
    }

    fn source(&self) -> Result<Source, Failure> {
        match (&self.file, self.body.as_deref()) {
            (Some(path), _) => {
                let failed = |error| {
                    Failure::new(
                        Exit::Failed,
                        format!("{} cannot be read: {error}", path.display()),
                    )
                };
                let file = std::fs::File::open(path).map_err(failed)?;
                let size = file.metadata().map_err(failed)?.len();
                Ok(Source {
                    reader: Box::new(file),
                    size: Some(size),
                })
            }
            // Without a body there are --lines, which come from stdin.
            (None, Some("-") | None) => Ok(Source {
                reader: Box::new(std::io::stdin()),
                size: None,
            }),
            (None, Some(body)) => {
                let bytes = body.as_bytes().to_vec();
                Ok(Source {
                    size: Some(bytes.len() as u64),
                    reader: Box::new(std::io::Cursor::new(bytes)),
                })
            }
        }
    }
}

/// Where bodies come from.
struct Source {
    reader: Box<dyn Read + std::marker::Send>,
    size: Option<u64>,
}

/// A body of which the beginning is read.
enum Begun {
    Whole(Bytes),
    /// It goes on; the reader begins at its beginning.
    Large(Box<dyn Read + std::marker::Send>),
}

impl Source {
    /// Reads a body, as far as it is no large one.
    fn begin(mut self) -> std::io::Result<Begun> {
        let mut body = Vec::new();
        let most = limits::MAX_INLINE + 1;
        self.reader.by_ref().take(most).read_to_end(&mut body)?;
        if (body.len() as u64) < most {
            return Ok(Begun::Whole(body.into()));
        }
        let begin = std::io::Cursor::new(body);
        Ok(Begun::Large(Box::new(begin.chain(self.reader))))
    }
}

pub(super) fn attribute(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

/// The media type that the name of a file speaks for.
fn content_type(file: &Path) -> Option<&'static str> {
    const TYPES: &[(&str, &str)] = &[
        ("csv", "text/csv"),
        ("gif", "image/gif"),
        ("html", "text/html"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("json", "application/json"),
        ("jsonl", "application/json"),
        ("ndjson", "application/json"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("toml", "application/toml"),
        ("txt", "text/plain"),
        ("webp", "image/webp"),
        ("xml", "application/xml"),
        ("yaml", "application/yaml"),
        ("yml", "application/yaml"),
    ];
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    TYPES
        .iter()
        .find(|(known, _)| *known == extension)
        .map(|(_, content_type)| *content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_types_are_read() {
        assert_eq!(attribute("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(attribute("a="), Ok(("a".into(), String::new())));
        assert!(attribute("=b").is_err() && attribute("a").is_err());
        assert_eq!(
            content_type(Path::new("x/Y.JSON")),
            Some("application/json")
        );
        assert_eq!(content_type(Path::new("x/json")), None);
    }

    #[test]
    fn every_option_about_a_message_stands_in_the_document_and_no_other() {
        use clap::Args as _;
        let about = About::augment_args(clap::Command::new("send"));
        let mut options: Vec<String> = about
            .get_arguments()
            .filter_map(|option| Some(format!("--{}", option.get_long()?)))
            .collect();
        options.sort();
        let mut named: Vec<&str> = crate::api::tests::named_in(4)
            .iter()
            .filter_map(|name| name.split(' ').next())
            .filter(|name| name.starts_with("--") && *name != "--file")
            .collect();
        named.sort_unstable();
        assert_eq!(options, named);
    }

    #[test]
    fn a_large_body_is_not_held_and_none_of_it_is_missing() {
        let begin = |size: u64| {
            let source = Source {
                reader: Box::new(std::io::repeat(b'x').take(size)),
                size: None,
            };
            source.begin().unwrap()
        };
        let Begun::Whole(body) = begin(limits::MAX_INLINE) else {
            panic!("it is small enough");
        };
        assert_eq!(body.len() as u64, limits::MAX_INLINE);
        let size = limits::MAX_INLINE + 5;
        let Begun::Large(mut body) = begin(size) else {
            panic!("it is large");
        };
        let read = std::io::copy(&mut body, &mut std::io::sink()).unwrap();
        assert_eq!(read, size);
        assert!(matches!(begin(u64::MAX), Begun::Large(_)));
    }
}
