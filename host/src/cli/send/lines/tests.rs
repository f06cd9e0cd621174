//! Cutting and counting.

use proptest::prelude::*;

use super::cut::{MAX_BYTES, MAX_LINE, MAX_LINES};
use super::*;

fn batches(text: Vec<u8>, each: usize) -> (Vec<Batch>, u64) {
    let (give, mut take) = mpsc::channel(1);
    let cutting = std::thread::spawn(move || cut(BufReader::new(&text[..]), false, each, &give));
    let found = std::iter::from_fn(|| take.blocking_recv()).collect();
    (found, cutting.join().unwrap().unwrap())
}

#[test]
fn lines_keep_their_numbers_and_lose_their_ends() {
    let (found, blank) = batches(b"one\r\n\n two \nthree".to_vec(), 0);
    let lines: Vec<(u64, &[u8])> = found
        .iter()
        .flat_map(|batch| &batch.lines)
        .map(|line| (line.number, &line.body[..]))
        .collect();
    assert_eq!(lines, [(1, &b"one"[..]), (3, b" two "), (4, b"three")]);
    assert_eq!((blank, found[0].until), (1, 17));
}

#[test]
fn a_line_that_no_queue_takes_is_only_counted() {
    let long = [vec![b'x'; MAX_LINE + 1], b"\nshort\n".to_vec()].concat();
    let (found, _) = batches(long, 0);
    assert_eq!(found[0].too_long, [1]);
    assert_eq!(found[0].lines[0].number, 2);
    let fits = vec![b'x'; MAX_LINE];
    let (found, _) = batches(fits, 0);
    assert_eq!(found[0].lines[0].body.len(), MAX_LINE);
}

#[test]
fn batches_are_bounded_in_lines_and_bytes() {
    let (found, _) = batches(b"x\n".repeat(MAX_LINES * 2 + 1), 0);
    let sizes: Vec<usize> = found.iter().map(|batch| batch.lines.len()).collect();
    assert_eq!(sizes, [MAX_LINES, MAX_LINES, 1]);
    let (found, _) = batches(b"x\n".repeat(3), MAX_BYTES);
    assert_eq!(found.len(), 3);
}

#[test]
fn the_summary_counts_every_line() {
    let mut report = Report {
        sent: 300,
        ..Report::default()
    };
    assert_eq!(report.summary(), "300 sent, 0 refused");
    (report.duplicates, report.blank) = (2, 1);
    assert_eq!(
        report.summary(),
        "300 sent, 0 refused, 2 duplicates, 1 blank lines skipped"
    );
}

proptest! {
    #[test]
    fn nothing_is_lost_in_cutting(lines in prop::collection::vec("[a-c]{0,3}", 0..50), each in 0usize..MAX_BYTES) {
        let text = lines.join("\n");
        let (found, blank) = batches(text.clone().into_bytes(), each);
        let kept: Vec<String> = found
            .iter()
            .flat_map(|batch| &batch.lines)
            .map(|line| String::from_utf8(line.body.to_vec()).unwrap())
            .collect();
        let expected: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        prop_assert_eq!(&kept, &expected);
        prop_assert_eq!(blank + kept.len() as u64, text.lines().count() as u64);
    }
}

/// A store whose queue takes bodies of at most 10 bytes and at most `room` messages.
async fn store(folder: &std::path::Path, room: u64) -> Door {
    let policy = gristmill_queue::QueuePolicy {
        max_body: 10,
        max_messages: Some(room),
        ..gristmill_queue::QueuePolicy::default()
    };
    let options = gristmill_store::Options {
        queues: vec![gristmill_store::Declaration {
            name: QueueName::new("q").unwrap(),
            policy,
        }],
        ..gristmill_store::Options::default()
    };
    let (store, _) = gristmill_store::Store::open(folder, options).unwrap();
    Door::Store(crate::api::Api::without_host(crate::queues::Queues::new(
        store,
    )))
}

async fn send_text(door: &Door, queue: &str, text: &str) -> Report {
    let source = Source {
        reader: Box::new(std::io::Cursor::new(text.as_bytes().to_vec())),
        size: Some(text.len() as u64),
    };
    let screen = Screen {
        json: false,
        quiet: true,
        terminal: false,
        color: false,
    };
    let queue = QueueName::new(queue).unwrap();
    send(door, &queue, &NewMessage::default(), source, screen, true)
        .await
        .unwrap()
}

#[tokio::test]
async fn only_the_lines_at_fault_are_refused_and_the_rest_keeps_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let door = store(folder.path(), 1000).await;
    let text: String = (1..=50)
        .map(|n| {
            if [1, 7, 8, 50].contains(&n) {
                "far too long a line\n".to_owned()
            } else {
                format!("{n}\n")
            }
        })
        .collect();
    let report = send_text(&door, "q", &text).await;
    let refused: Vec<u64> = report.refused.iter().map(|refused| refused.line).collect();
    assert_eq!((refused, report.sent), (vec![1, 7, 8, 50], 46));
    assert!(
        report
            .refused
            .iter()
            .all(|refused| refused.code == Code::TooLarge)
    );
    let waiting = door.peek(&QueueName::new("q").unwrap(), 100).await.unwrap();
    let numbers: Vec<u32> = waiting
        .iter()
        .map(|one| one.body.body.as_ref().unwrap().parse().unwrap())
        .collect();
    let expected: Vec<u32> = (2..50).filter(|n| ![7, 8].contains(n)).collect();
    assert_eq!(numbers, expected);
    let ids: Vec<&String> = waiting.iter().map(|one| &one.id).collect();
    assert_eq!(ids, report.ids.iter().collect::<Vec<_>>());
    door.close().await;
}

#[tokio::test]
async fn a_full_queue_takes_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let door = store(folder.path(), 7).await;
    let report = send_text(&door, "q", &"x\n".repeat(20)).await;
    assert_eq!((report.sent, report.refused.len()), (7, 13));
    assert_eq!(report.refused[0].code, Code::QueueFull);
    door.close().await;
}

#[tokio::test]
async fn sending_stops_when_the_outcome_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let door = store(folder.path(), 7).await;
    let Door::Store(api) = &door else {
        unreachable!("it was made as a store");
    };
    api.service().close().await;
    let report = send_text(&door, "q", "a\nb\n").await;
    let stopped = report.stopped.unwrap();
    assert_eq!(
        (stopped.first_line, stopped.last_line, report.sent),
        (1, 2, 0)
    );
    assert_eq!(stopped.code, Code::OutcomeUnknown);
}

#[tokio::test]
async fn an_unknown_queue_refuses_every_line_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let door = store(folder.path(), 7).await;
    let report = send_text(&door, "nope", "a\nb\nc\n").await;
    assert_eq!((report.sent, report.refused.len()), (0, 3));
    door.close().await;
}
