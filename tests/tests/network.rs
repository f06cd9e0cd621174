//! The API on the network, through the real binary and clients of others.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use gristmill_tests::{Certificates, Host, free_port, gristmill, has, run, script, workspace};

const QUEUES: &str = "[queue.orders]\n[queue.invoices]\n";

/// A host that listens at a free port, with more in its table.
fn listening(more: &str) -> (Host, u16) {
    let port = free_port().unwrap();
    let config =
        format!("[host]\nlog = \"debug\"\n[api]\nlisten = \"127.0.0.1:{port}\"\n{more}\n{QUEUES}");
    let mut host = Host::new(&config, &[]).unwrap();
    host.start().unwrap();
    (host, port)
}

fn token(host: &Host, can: &str, queues: &str) -> String {
    let args = [
        "token", "create", "test", "--can", can, "--queues", queues, "--quiet",
    ];
    host.done(&args).unwrap().trim().to_owned()
}

#[test]
fn the_example_of_the_readme_works_as_it_stands() {
    if !has("curl") {
        return;
    }
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, chapter) = readme.split_once("## Over HTTP").unwrap();
    let block = |kind: &str| {
        let (_, rest) = chapter.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let port = free_port().unwrap().to_string();
    let mut host = Host::new(&block("toml").replace("7733", &port), &[]).unwrap();
    host.start().unwrap();
    let folder = gristmill().unwrap().parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let script = block("sh").replace("7733", &port);
    let twice = format!(
        "set -e\n{script}\necho\n{}",
        script.split_once('\n').unwrap().1
    );
    let mut bash = Command::new("bash");
    bash.current_dir(host.folder())
        .env("PATH", path)
        .args(["-c", &twice]);
    let said = run(&mut bash).unwrap();
    let answers: Vec<serde_json::Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 2, "{said}");
    assert_eq!(
        (&answers[0]["duplicate"], &answers[1]["duplicate"]),
        (&false.into(), &true.into())
    );
    assert_eq!(answers[0]["id"], answers[1]["id"]);
    assert_eq!(host.queue("orders").unwrap().ready, 1);
}

#[test]
fn a_client_of_pythons_standard_library_hears_what_the_document_says() {
    if !has("python3") {
        return;
    }
    let (host, port) = listening("auth = \"token\"");
    let token = token(&host, "send,receive,read,manage", "*");
    let mut python = Command::new("python3");
    python
        .arg(script("plain.py"))
        .arg(format!("http://127.0.0.1:{port}"))
        .arg(&token);
    let said = run(&mut python).unwrap();
    assert_eq!(said.trim(), "all as expected");
    // What was shown is in no log, though all of it is logged.
    let log = host.log();
    let secret = token.rsplit('_').next().unwrap();
    assert!(
        !log.contains(secret) && !log.contains("gm_wrong"),
        "a token is in the log"
    );
    assert!(
        log.contains("audit") && log.contains("purge_queue"),
        "{log}"
    );
}

#[test]
fn commands_ask_a_host_elsewhere_as_they_ask_the_one_here() {
    let (mut host, port) = listening("auth = \"token\"");
    let all = token(&host, "send,receive,read,manage", "*");
    let elsewhere = Host::new("", &[]).unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let file = elsewhere.folder().join("token");
    fs::write(&file, format!("{all}\n")).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let ask = |verb: &[&str]| {
        let args = [verb, &["--server", &url, "--token-file", &file]].concat();
        elsewhere.run(&args).unwrap()
    };
    let done = |verb: &[&str]| {
        let output = ask(verb);
        assert_eq!(output.code, Some(0), "{verb:?}: {output:?}");
        output.stdout
    };
    let id = done(&["send", "orders", "hello"]);
    let id = id.trim();
    let large = elsewhere.folder().join("large");
    fs::write(&large, vec![b'x'; 3 << 20]).unwrap();
    let second = done(&["send", "orders", "--file", large.to_str().unwrap()]);
    assert_eq!(done(&["show", second.trim(), "--body"]).len(), 3 << 20);
    assert!(done(&["queues"]).contains("orders"));
    assert!(done(&["peek", "orders"]).contains("hello"));
    assert!(done(&["show", id]).contains("ready"));
    done(&["move", id, "--delay", "1h"]);
    done(&["cancel", id]);
    done(&["pause", "orders"]);
    assert_eq!(
        host.queue("orders").unwrap().gate.as_deref(),
        Some("paused")
    );
    done(&["resume", "orders"]);
    done(&["purge", "orders", "--ready", "--yes"]);
    for verb in [
        &["topics"][..],
        &["cron"],
        &["handlers"],
        &["groups", "orders"],
        &["dead", "list", "orders"],
        &["token", "list"],
    ] {
        done(verb);
    }
    let made = done(&[
        "token", "create", "far", "--can", "read", "--queues", "orders", "--quiet",
    ]);
    let reader = made.trim().to_owned();
    let mut limited = elsewhere
        .command(&["send", "orders", "x", "--server", &url])
        .unwrap();
    let output = limited.env("GRISTMILL_TOKEN", &reader).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("may not send") && said.contains("--can read"),
        "{said}"
    );
    // Given where others see it, that is said.
    let output = elsewhere
        .run(&["queues", "--server", &url, "--token", &reader])
        .unwrap();
    assert!(
        output.code == Some(0) && output.stderr.contains("--token-file"),
        "{output:?}"
    );
    let reader_id = reader.split('_').nth(1).unwrap();
    done(&["token", "revoke", reader_id]);
    let output = elsewhere
        .run(&["queues", "--server", &url, "--token", &reader])
        .unwrap();
    assert_eq!(output.code, Some(7), "{output:?}");
    // What is done to the files of a machine is done there.
    let output = ask(&["store", "check"]);
    assert!(
        output.code == Some(2) && output.stderr.contains("store check"),
        "{output:?}"
    );
    assert_eq!(host.stop().unwrap(), Some(0));
    assert_eq!(ask(&["queues"]).code, Some(3));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn tokens_are_made_without_a_host_and_good_when_it_starts() {
    let port = free_port().unwrap();
    let config = format!("[api]\nlisten = \"127.0.0.1:{port}\"\nauth = \"token\"\n{QUEUES}");
    let mut host = Host::new(&config, &[]).unwrap();
    let token = token(&host, "read", "orders");
    let key = host
        .json(&[
            "token", "create", "aws", "--can", "send", "--queues", "*", "--aws",
        ])
        .unwrap();
    assert!(
        key["id"].as_str().unwrap().starts_with("GMKEY") && key["secret_access_key"].is_string()
    );
    host.start().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let queues = || {
        let mut command = host.command(&["queues", "--server", &url]).unwrap();
        command.env("GRISTMILL_TOKEN", &token).output().unwrap()
    };
    let output = queues();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("orders") && !said.contains("invoices"),
        "{output:?}"
    );
    host.kill().unwrap();
    // Revoked while none runs, it is good for nothing when one does again.
    let id = token.split('_').nth(1).unwrap();
    host.done(&["token", "revoke", id]).unwrap();
    host.start().unwrap();
    let mut command = host.command(&["queues", "--server", &url]).unwrap();
    let output = command.env("GRISTMILL_TOKEN", &token).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
}

#[test]
fn a_host_with_tls_is_reached_by_curl_and_by_commands_that_believe_its_authority() {
    let files = Certificates::of(&["localhost"]).unwrap();
    let (host, port) = listening(&files.configuration());
    let url = format!("https://localhost:{port}");
    let ca = files.ca.to_str().unwrap();
    let listed = host
        .run(&["queues", "--server", &url, "--ca-cert", ca])
        .unwrap();
    assert!(
        listed.code == Some(0) && listed.stdout.contains("orders"),
        "{listed:?}"
    );
    let doubted = host.run(&["queues", "--server", &url]).unwrap();
    assert_eq!(doubted.code, Some(3), "{doubted:?}");
    assert!(doubted.stderr.contains("--ca-cert"), "{doubted:?}");
    let plain = host
        .run(&["queues", "--server", &url.replace("https", "http")])
        .unwrap();
    assert_eq!(plain.code, Some(3), "{plain:?}");
    if has("curl") {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--cacert", ca, &format!("{url}/readyz")]);
        assert_eq!(run(&mut curl).unwrap(), "ok\n");
    }
}

#[test]
fn a_host_that_everybody_could_reach_without_a_token_does_not_start() {
    let host = Host::new(&format!("[api]\nlisten = \"0.0.0.0:7733\"\n{QUEUES}"), &[]).unwrap();
    let output = host.run(&["serve"]).unwrap();
    assert_eq!(output.code, Some(78), "{output:?}");
    for words in ["api.listen", "auth = \"token\"", "gristmill token create"] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    host.configure(&format!("[api]\nlisten = \"{address}\"\n{QUEUES}"))
        .unwrap();
    let output = host.run(&["serve"]).unwrap();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("another process listens there"),
        "{output:?}"
    );
    host.configure(&format!("[api]\nlisten = \"127.0.0.1:0\"\ntls_cert = \"absent.pem\"\ntls_key = \"key.pem\"\n{QUEUES}")).unwrap();
    let output = host.run(&["serve"]).unwrap();
    assert!(
        output.code == Some(1) && output.stderr.contains("absent.pem"),
        "{output:?}"
    );
}
