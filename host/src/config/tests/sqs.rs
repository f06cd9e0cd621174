//! The SQS endpoint: what it may be told, and what is said when it cannot be so.

use super::{good, told};
use crate::config::{SqsAuth, SqsConfig, SqsLimits, diff};
use crate::net::TlsFiles;

#[test]
fn the_endpoint_is_there_if_it_listens() {
    assert_eq!(good("").sqs, None);
    assert_eq!(good("[sqs]\nlimits = \"strict\"\n").sqs, None);
    let least = good("[sqs]\nlisten = \"127.0.0.1:9324\"\n");
    let sqs = SqsConfig {
        listen: "127.0.0.1:9324".parse().unwrap(),
        public_url: None,
        account: "000000000000".into(),
        region: "us-east-1".into(),
        limits: SqsLimits::Relaxed,
        auth: SqsAuth::None,
        tls: None,
    };
    assert_eq!(least.sqs, Some(sqs));
    let all = good(
        "[sqs]\nlisten = \"0.0.0.0:1\"\nauth = \"sigv4\"\npublic_url = \"https://queue.example/\"\naccount = \"123456789012\"\nregion = \"eu-central-1\"\nlimits = \"strict\"\ntls_cert = \"cert.pem\"\ntls_key = \"/etc/key.pem\"\nclient_ca = \"ca.pem\"\n",
    );
    assert_eq!(all.warnings, []);
    let told = SqsConfig {
        listen: "0.0.0.0:1".parse().unwrap(),
        public_url: Some("https://queue.example".into()),
        account: "123456789012".into(),
        region: "eu-central-1".into(),
        limits: SqsLimits::Strict,
        auth: SqsAuth::Sigv4,
        tls: Some(TlsFiles {
            cert: "etc/cert.pem".into(),
            key: "/etc/key.pem".into(),
            client_ca: Some("etc/ca.pem".into()),
        }),
    };
    assert_eq!(all.sqs, Some(told));
    assert_eq!(diff(&least, &all).needs_restart, ["sqs"]);
}

#[test]
fn what_it_cannot_be_is_said() {
    told(
        r##"[sqs]
listen = "9324"
public_url = "queue.example"
account = "12"
region = "Frankfurt"
"##,
        r##"error: `sqs.listen` is not an address with a port, such as "127.0.0.1:9324": "9324"
 --> etc/gristmill.toml:2:10
  |
2 | listen = "9324"
  |          ^^^^^^

error: `sqs.public_url` is not what a URL begins with, such as "http://queue:9324": "queue.example"
 --> etc/gristmill.toml:3:14
  |
3 | public_url = "queue.example"
  |              ^^^^^^^^^^^^^^^

error: `sqs.account` is not twelve digits: "12"
 --> etc/gristmill.toml:4:11
  |
4 | account = "12"
  |           ^^^^

error: `sqs.region` is not a region: use small letters, digits and hyphens: "Frankfurt"
 --> etc/gristmill.toml:5:10
  |
5 | region = "Frankfurt"
  |          ^^^^^^^^^^^"##,
    );
}

#[test]
fn nobody_elsewhere_is_let_in_without_a_signature() {
    told(
        "[sqs]\nlisten = \"0.0.0.0:9324\"\n",
        r##"error: `sqs.listen` can be reached from other machines, and `sqs.auth` lets everybody in: write auth = "sigv4" and make access keys with `gristmill token create --aws`, or listen at 127.0.0.1: "0.0.0.0:9324"
 --> etc/gristmill.toml:2:10
  |
2 | listen = "0.0.0.0:9324"
  |          ^^^^^^^^^^^^^^"##,
    );
}

#[test]
fn certificates_go_with_their_keys_and_what_can_be_read_on_the_way_is_told() {
    told(
        "[sqs]\nlisten = \"127.0.0.1:1\"\ntls_key = \"key.pem\"\n",
        r##"error: `sqs.tls_key` is given, and `sqs.tls_cert` is not
 --> etc/gristmill.toml:3:11
  |
3 | tls_key = "key.pem"
  |           ^^^^^^^^^
  |
  = help: give `sqs.tls_cert` too: one is of no use without the other"##,
    );
    let open = good("[sqs]\nlisten = \"0.0.0.0:9324\"\nauth = \"sigv4\"\n");
    let warning = open.warnings[0].render(false);
    assert!(warning.contains("without TLS"), "{warning}");
}
