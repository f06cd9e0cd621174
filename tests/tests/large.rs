//! Large bodies, from a file on the sender's disk to the handler and back out, with little memory.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use gristmill_tests::Host;
use serde_json::{Value, json};

use crate::fixture;

const CONFIG: &str = r#"
[queue.statements]
handler = "tally.wasm"

[queue.tallied]

[queue.files]

[queue.whole]
handler = "sink.wasm"
max_attempts = 1

[handler.tally]
send_to = ["tallied"]

[handler.sink]
memory = "2MiB"
"#;

const MIB: usize = 1024 * 1024;

/// A statement of that many bytes, and what it adds up to.
fn statement(size: usize) -> (Vec<u8>, Value) {
    let line = b"groceries,3\n";
    let lines = size / line.len();
    let mut text = line.repeat(lines);
    text.truncate(lines * line.len());
    let tally = json!({
        "bytes": text.len(),
        "lines": lines,
        "cents": { "groceries": lines * 3 },
    });
    (text, tally)
}

fn file(host: &Host, name: &str, bytes: &[u8]) -> PathBuf {
    let path = host.folder().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn aside(host: &Host) -> usize {
    // What is answered is durable; files go right after that, and before the next answer. There may
    // be no host.
    let _ = host.queues();
    std::fs::read_dir(host.data().join("blobs"))
        .unwrap()
        .count()
}

#[test]
fn sixty_four_mib_go_through_sender_host_and_handler_in_little_memory() {
    let host = fixture::host(CONFIG, &["tally", "sink"]);
    let (text, tally) = statement(64 * MIB);
    file(&host, "statement.csv", &text);
    let before = host.memory_kib("VmHWM").unwrap();
    let sent = host.done(&["send", "statements", "--file", "statement.csv"]);
    sent.unwrap();
    host.wait_settled(&["statements"]).unwrap();
    let grown = host.memory_kib("VmHWM").unwrap() - before;
    println!("the host's memory grew by {grown} KiB");
    // Less than half of the body: nobody has held it.
    assert!(grown < 32 * 1024, "{grown} KiB");
    let peeked = host.json(&["peek", "tallied"]).unwrap();
    let body = peeked["items"][0]["body"].as_str().unwrap_or_else(|| {
        panic!("nothing was tallied: {peeked}\n{}", host.log());
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), tally);
    assert_eq!(aside(&host), 0, "the body goes with its message");
}

#[test]
fn a_large_body_comes_out_as_it_went_in_with_and_without_a_host() {
    let mut host = fixture::host(CONFIG, &["tally", "sink"]);
    let bytes: Vec<u8> = (0..=250).cycle().step_by(31).take(3 * MIB).collect();
    file(&host, "picture.png", &bytes);
    let send = [
        "send",
        "files",
        "--file",
        "picture.png",
        "--attribute",
        "Owner=Zoë",
    ];
    let id = host.done(&send).unwrap().trim().to_owned();
    let back = |host: &Host| {
        let output = host.command(&["show", &id, "--body"]).unwrap().output();
        let output = output.unwrap();
        assert!(output.status.success());
        output.stdout
    };
    assert!(back(&host) == bytes);
    let shown = host.json(&["show", &id]).unwrap();
    assert_eq!(shown["size"], 3 * MIB);
    assert_eq!(shown["body_omitted"], true);
    // What is said of a message beside its body keeps its case, and what is not ASCII.
    assert_eq!(shown["envelope"]["attributes"], json!({ "Owner": "Zoë" }));
    assert_eq!(shown["envelope"]["content_type"], "image/png");
    let listed = host.done(&["peek", "files"]).unwrap();
    assert!(
        listed.contains("3.0 MiB") && listed.contains("(large)"),
        "{listed}"
    );
    host.stop().unwrap();
    assert!(back(&host) == bytes, "without a host");
    host.done(&send).unwrap();
    assert_eq!(aside(&host), 2);
}

#[test]
fn what_is_too_large_is_refused_and_nothing_of_it_is_left() {
    let config = CONFIG.replace(
        "[queue.files]",
        "[queue.files]\nmax_message_size = \"2MiB\"",
    );
    let host = fixture::host(&config, &["tally", "sink"]);
    file(&host, "big", &vec![b'x'; 3 * MIB]);
    for queue in ["files", "nowhere"] {
        let refused = host.run(&["send", queue, "--file", "big"]).unwrap();
        let said = match queue {
            "files" => "but the queue takes at most 2097152",
            _ => "there is no queue or topic nowhere",
        };
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
        assert_ne!(refused.code, Some(0));
        assert_eq!(aside(&host), 0);
    }
    host.done(&["send", "files", "small"]).unwrap();
}

#[test]
fn a_handler_without_the_memory_for_a_whole_body_is_told_so() {
    let host = fixture::host(CONFIG, &["tally", "sink"]);
    file(&host, "fits", &vec![b'x'; MIB / 2]);
    file(&host, "big", &vec![b'x'; 3 * MIB]);
    host.done(&["send", "whole", "--file", "fits"]).unwrap();
    let id = host.done(&["send", "whole", "--file", "big"]).unwrap();
    host.wait_settled(&["whole"]).unwrap();
    let queue = host.queue("whole").unwrap();
    assert_eq!((queue.acked, queue.dead), (1, 1));
    let letter = host.dead_letter("whole", id.trim()).unwrap();
    assert_eq!(letter["reason"], "memory-limit");
    let error = letter["error"].as_str().unwrap();
    assert!(
        error.contains("let the handler read the body piece by piece"),
        "{error}"
    );
    assert_eq!(aside(&host), 1, "death keeps the body");
    host.done(&["dead", "purge", "whole", "--yes"]).unwrap();
    assert_eq!(aside(&host), 0);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_and_neither_does_a_killed_host() {
    let mut host = fixture::host(CONFIG, &["tally", "sink"]);
    let begin = |host: &Host| {
        let mut stream = UnixStream::connect(host.data().join("gristmill.sock")).unwrap();
        let head = "POST /v1/queues/files/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; 2 * MIB]).unwrap();
        host.wait_until("some of it is stored", |host| Ok(aside(host) == 1))
            .unwrap();
        stream
    };
    drop(begin(&host));
    host.wait_until("it is removed", |host| Ok(aside(host) == 0))
        .unwrap();
    let stream = begin(&host);
    host.kill().unwrap();
    drop(stream);
    assert_eq!(aside(&host), 1);
    host.start().unwrap();
    assert_eq!(aside(&host), 0);
    assert_eq!(host.queue("files").unwrap().ready, 0);
}
