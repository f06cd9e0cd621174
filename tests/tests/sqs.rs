//! The SQS endpoint, with clients that are not ours.

use std::path::Path;
use std::process::Command;

use gristmill_tests::{Certificates, Host, clients, gristmill, workspace};

/// Port 0: any that is free; the host says which in its log.
const CONFIG: &str = "[sqs]\nlisten = \"127.0.0.1:0\"\n\n[queue.declared]\n";

fn start() -> Host {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    host.start().unwrap();
    host
}

/// Where the endpoint of a host is now.
fn endpoint(host: &Host) -> String {
    let log = host.log();
    let said = log.rsplit("the SQS endpoint listens at ").next().unwrap();
    said.split_whitespace().next().unwrap().to_owned()
}

fn script(program: impl AsRef<std::ffi::OsStr>, script: &str, host: &Host) -> Command {
    let mut command = Command::new(program);
    command.arg(clients::scripts().join(script));
    surround(&mut command, host);
    command
}

fn surround(command: &mut Command, host: &Host) {
    command
        .env("SQS_ENDPOINT", endpoint(host))
        // What a person has set up for the real thing must have no say.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_ENDPOINT_URL");
}

fn all_is_well(written: &str) {
    assert!(written.contains("all is well"), "{written}");
    println!("{written}");
}

#[test]
fn boto3_of_today_does_all_it_can() {
    let Some(bin) = clients::python("requirements.txt").unwrap() else {
        return;
    };
    let host = start();
    all_is_well(&clients::finish(&mut script(bin.join("python"), "boto.py", &host)).unwrap());
}

#[test]
fn boto3_of_2023_does_the_same_in_the_older_protocol() {
    let Some(bin) = clients::python("requirements-2023.txt").unwrap() else {
        return;
    };
    let host = start();
    all_is_well(&clients::finish(&mut script(bin.join("python"), "boto.py", &host)).unwrap());
}

/// Makes an access key: its id and its secret.
fn access_key(host: &Host, can: &str, queues: &str) -> (String, String) {
    let args = [
        "token", "create", "boto3", "--aws", "--can", can, "--queues", queues,
    ];
    let made = host.done(&args).unwrap();
    let value = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches([' ', '=']).to_owned()
    };
    (value("aws_access_key_id"), value("aws_secret_access_key"))
}

#[test]
fn an_endpoint_that_wants_signatures_lets_in_who_has_a_key_for_what_it_allows() {
    let config = CONFIG.replace("[sqs]", "[sqs]\nauth = \"sigv4\"");
    for requirements in ["requirements.txt", "requirements-2023.txt"] {
        let Some(bin) = clients::python(requirements).unwrap() else {
            return;
        };
        let mut host = Host::new(&config, &[]).unwrap();
        host.start().unwrap();
        let (id, secret) = access_key(&host, "read", "declared");
        let mut reader = script(bin.join("python"), "signed.py", &host);
        reader.env("READER", format!("{id} {secret}"));
        all_is_well(&clients::finish(&mut reader).unwrap());
        assert!(!host.log().contains(&secret), "the secret is logged");
        // Whoever may do everything sees what there is to see without signatures.
        let (id, secret) = access_key(&host, "send,receive,read,manage", "*");
        let mut all = script(bin.join("python"), "boto.py", &host);
        all.env("AWS_ACCESS_KEY_ID", id)
            .env("AWS_SECRET_ACCESS_KEY", secret);
        all_is_well(&clients::finish(&mut all).unwrap());
    }
}

#[test]
fn an_endpoint_with_tls_is_believed_by_its_authority() {
    let Some(bin) = clients::python("requirements.txt").unwrap() else {
        return;
    };
    let files = Certificates::of(&["127.0.0.1"]).unwrap();
    let config = CONFIG.replace("[sqs]\n", &format!("[sqs]\n{}", files.configuration()));
    let mut host = Host::new(&config, &[]).unwrap();
    host.start().unwrap();
    assert!(endpoint(&host).starts_with("https://"), "{}", host.log());
    let mut believing = script(bin.join("python"), "boto.py", &host);
    believing.env("AWS_CA_BUNDLE", &files.ca);
    all_is_well(&clients::finish(&mut believing).unwrap());
    let doubting = clients::finish(&mut script(bin.join("python"), "boto.py", &host));
    let error = format!("{:#}", doubting.unwrap_err());
    assert!(error.contains("CERTIFICATE_VERIFY_FAILED"), "{error}");
}

#[test]
fn the_command_line_of_aws_works() {
    let Some(bin) = clients::python("requirements.txt").unwrap() else {
        return;
    };
    let host = start();
    let mut command = script("sh", "aws_cli.sh", &host);
    command.arg(bin.join("aws")).arg(endpoint(&host));
    all_is_well(&clients::finish(&mut command).unwrap());
}

#[test]
fn celery_does_its_tasks() {
    let Some(bin) = clients::python("requirements.txt").unwrap() else {
        return;
    };
    let host = start();
    let mut command = script(bin.join("python"), "celery_task.py", &host);
    all_is_well(&clients::finish(&mut command).unwrap());
}

#[test]
fn programs_in_javascript_consume() {
    let Some(folder) = clients::node().unwrap() else {
        return;
    };
    let host = start();
    let mut command = script("node", "consume.mjs", &host);
    command.env("CLIENTS_NODE", folder);
    all_is_well(&clients::finish(&mut command).unwrap());
}

#[test]
fn a_program_with_the_sdk_for_rust_does_what_it_does_at_aws() {
    let host = start();
    let mut command = Command::new(clients::rust().unwrap());
    surround(&mut command, &host);
    all_is_well(&clients::finish(&mut command).unwrap());
}

/// Sends with what is there everywhere.
fn ask(host: &Host, action: &str, parameters: &[(&str, &str)]) -> (u16, String) {
    ask_with(host, "", action, parameters)
}

/// The same with more headers.
fn ask_with(
    host: &Host,
    headers: &str,
    action: &str,
    parameters: &[(&str, &str)],
) -> (u16, String) {
    let url = endpoint(host);
    let address = url.strip_prefix("http://").unwrap();
    let mut body = format!("Action={action}");
    for (name, value) in parameters {
        body.push_str(&format!("&{name}={value}"));
    }
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// What stands between the tags of this name.
fn element(answer: &str, name: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.to_owned())
}

#[test]
fn queues_made_over_sqs_survive_a_kill_and_are_seen_by_all() {
    let mut host = start();
    let (status, made) = ask(&host, "CreateQueue", &[("QueueName", "made")]);
    assert_eq!(status, 200, "{made}");
    let url = element(&made, "QueueUrl").unwrap();
    assert!(url.ends_with("/000000000000/made"), "{url}");
    let (status, _) = ask(
        &host,
        "SendMessage",
        &[("QueueUrl", "made"), ("MessageBody", "one")],
    );
    assert_eq!(status, 200);
    let one = host.run(&["send", "made", "two"]).unwrap();
    assert_eq!(one.code, Some(0), "{one:?}");
    host.kill().unwrap();
    host.start().unwrap();
    let queues = host.run(&["queues"]).unwrap();
    assert!(queues.stdout.contains("made"), "{}", queues.stdout);
    let peeked = host.run(&["peek", "made"]).unwrap();
    assert!(
        peeked.stdout.contains("one") && peeked.stdout.contains("two"),
        "{}",
        peeked.stdout
    );
    let parameters = [("QueueUrl", "made"), ("MaxNumberOfMessages", "10")];
    let (_, got) = ask(&host, "ReceiveMessage", &parameters);
    assert_eq!(got.matches("<Message>").count(), 2, "{got}");
    // A lease survives, too: neither early nor forgotten.
    host.kill().unwrap();
    host.start().unwrap();
    let (_, early) = ask(&host, "ReceiveMessage", &parameters);
    assert_eq!(early.matches("<Message>").count(), 0, "{early}");
    for handle in got.split("<ReceiptHandle>").skip(1) {
        let handle = handle.split('<').next().unwrap();
        let parameters = [("QueueUrl", "made"), ("ReceiptHandle", handle)];
        assert_eq!(ask(&host, "DeleteMessage", &parameters).0, 200);
    }
    let declared = [("QueueUrl", "declared"), ("MessageBody", "x")];
    assert_eq!(ask(&host, "SendMessage", &declared).0, 200);
    let (_, list) = ask(&host, "ListQueues", &[]);
    assert_eq!(list.matches("<QueueUrl>").count(), 2, "{list}");
    assert_eq!(ask(&host, "DeleteQueue", &[("QueueUrl", "made")]).0, 200);
    host.stop().unwrap();
    host.start().unwrap();
    let queues = host.run(&["queues"]).unwrap();
    assert!(!queues.stdout.contains("made"), "{}", queues.stdout);
}

#[test]
fn pages_in_a_browser_cannot_reach_the_queues() {
    let host = start();
    let parameters = [("QueueName", "made")];
    for headers in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
    ] {
        let (status, answer) = ask_with(&host, headers, "CreateQueue", &parameters);
        assert_eq!(status, 403, "{headers}: {answer}");
    }
    let (_, list) = ask(&host, "ListQueues", &[]);
    assert!(!list.contains("made"), "{list}");
    let typed = "Sec-Fetch-Site: none\r\n";
    assert_eq!(ask_with(&host, typed, "CreateQueue", &parameters).0, 200);
}

/// The fenced blocks of this kind in docs/sqs.md.
fn examples(kind: &str) -> Vec<String> {
    let text = std::fs::read_to_string(workspace().join("docs/sqs.md")).unwrap();
    let fence = format!("```{kind}\n");
    let blocks = text.split(&fence).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

fn with_endpoint(example: &str, host: &Host) -> String {
    example.replace("http://127.0.0.1:9324", &endpoint(host))
}

fn run_example(program: &Path, suffix: &str, example: &str, host: &Host) -> String {
    let file = host.folder().join(format!("example.{suffix}"));
    std::fs::write(&file, with_endpoint(example, host)).unwrap();
    let mut command = Command::new(program);
    surround(&mut command, host);
    clients::finish(command.arg(&file).current_dir(host.folder())).unwrap()
}

#[test]
fn the_examples_of_the_document_work() {
    let host = start();
    if let Some(bin) = clients::python("requirements.txt").unwrap() {
        let found = examples("python");
        assert!(!found.is_empty());
        for example in found {
            let written = run_example(&bin.join("python"), "py", &example, &host);
            assert!(!written.is_empty(), "{example}");
        }
        let found = examples("sh");
        assert!(!found.is_empty());
        let path = std::env::join_paths(
            std::iter::once(bin).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        for example in found {
            let file = host.folder().join("example.sh");
            let example = format!("set -e\n{}", with_endpoint(&example, &host));
            std::fs::write(&file, example).unwrap();
            let mut command = Command::new("sh");
            surround(&mut command, &host);
            command.arg(&file).env("PATH", path.as_ref().unwrap());
            clients::finish(&mut command).unwrap();
        }
    }
    let found = examples("console");
    assert!(!found.is_empty());
    let own = gristmill().unwrap().parent().unwrap().to_owned();
    let paths = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(own).chain(std::env::split_paths(&paths));
    let path = std::env::join_paths(path).unwrap();
    for example in found {
        let mut typed = String::from("set -e\n");
        for line in example.lines() {
            let line = line.strip_prefix("$ ").unwrap();
            // What the host refuses is not taken for an answer.
            typed.push_str(&line.replacen("curl ", "curl --fail --silent --show-error ", 1));
            typed.push('\n');
        }
        clients::finish(
            Command::new("sh")
                .args(["-c", &typed])
                .env("PATH", &path)
                .current_dir(host.folder()),
        )
        .unwrap();
    }
    if let Some(folder) = clients::node().unwrap() {
        for example in examples("js") {
            // Packages are looked for beside the program.
            let link = host.folder().join("node_modules");
            if !link.exists() {
                std::os::unix::fs::symlink(folder.join("node_modules"), link).unwrap();
            }
            let written = run_example(Path::new("node"), "mjs", &example, &host);
            assert!(!written.is_empty(), "{example}");
        }
    }
}
