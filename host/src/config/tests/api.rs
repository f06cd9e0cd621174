//! The API on the network: what reaches its place, and what is said when nobody would be kept out.

use std::path::PathBuf;

use super::{good, read, told};
use crate::config::{ApiAuth, diff};
use crate::net::TlsFiles;

#[test]
fn every_key_reaches_its_place_and_without_them_nothing_is_listened_to() {
    let config = good("");
    assert_eq!((config.api.listen, config.api.auth), (None, ApiAuth::None));
    assert_eq!(config.api.max_connections, 1024);
    let config = good(
        r#"
        [api]
        listen = "[::]:7733"
        auth = "token"
        tls_cert = "tls/cert.pem"
        tls_key = "/etc/key.pem"
        client_ca = "ca.pem"
        max_connections = 7
        rate = "100/s"
        rate_per_client = "60/min"
        "#,
    );
    assert_eq!(config.warnings, []);
    let api = config.api;
    assert_eq!(api.listen, Some("[::]:7733".parse().unwrap()));
    assert_eq!((api.auth, api.max_connections), (ApiAuth::Token, 7));
    let files = TlsFiles {
        cert: PathBuf::from("etc/tls/cert.pem"),
        key: PathBuf::from("/etc/key.pem"),
        client_ca: Some(PathBuf::from("etc/ca.pem")),
    };
    assert_eq!(api.tls, Some(files));
    assert_eq!(api.rate.unwrap().burst(), 100);
    assert_eq!(api.rate_per_client.unwrap().count(), 60);
}

#[test]
fn other_certificates_and_addresses_need_a_restart() {
    let base = "[api]\nlisten = \"127.0.0.1:1\"\ntls_cert = \"a\"\ntls_key = \"b\"\n";
    for (old, new, key) in [
        ("127.0.0.1:1", "127.0.0.1:2", "api.listen"),
        ("\"a\"", "\"c\"", "api.tls_cert"),
        ("\"b\"", "\"c\"", "api.tls_key"),
        ("\"b\"\n", "\"b\"\nclient_ca = \"c\"\n", "api.client_ca"),
    ] {
        let change = diff(&good(base), &good(&base.replace(old, new)));
        assert_eq!(change.needs_restart, [key]);
    }
}

#[test]
fn everybody_is_let_in_at_an_address_of_this_machine_only() {
    for here in ["127.0.0.1:7733", "127.9.9.9:1", "[::1]:7733"] {
        let config = good(&format!("[api]\nlisten = \"{here}\"\n"));
        assert_eq!(config.warnings, []);
    }
    for there in [
        "0.0.0.0:7733",
        "10.0.0.1:7733",
        "[::]:7733",
        "[2001:db8::1]:7733",
    ] {
        for auth in ["", "auth = \"none\"\n"] {
            let text = format!("[api]\nlisten = \"{there}\"\n{auth}");
            assert!(read(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn what_would_let_everybody_in_is_refused_with_the_cure() {
    told(
        r##"[api]
listen = "0.0.0.0:7733"
auth = "tokens"
tls_cert = "cert.pem"
client_ca = "ca.pem"
max_connections = 0
"##,
        r##"error: `api.listen` can be reached from other machines, and `api.auth` lets everybody in
 --> etc/gristmill.toml:2:10
  |
2 | listen = "0.0.0.0:7733"
  |          ^^^^^^^^^^^^^^
  |
  = help: write auth = "token" and make tokens with `gristmill token create`, or listen at 127.0.0.1

error: `api.auth` must be "none" or "token"
 --> etc/gristmill.toml:3:8
  |
3 | auth = "tokens"
  |        ^^^^^^^^
  |
  = help: did you mean `token`?

error: `api.tls_cert` is given, and `api.tls_key` is not
 --> etc/gristmill.toml:4:12
  |
4 | tls_cert = "cert.pem"
  |            ^^^^^^^^^^
  |
  = help: give `api.tls_key` too: one is of no use without the other

error: `api.max_connections` is out of bounds: 1 to 100000
 --> etc/gristmill.toml:6:19
  |
6 | max_connections = 0
  |                   ^"##,
    );
}

#[test]
fn addresses_that_are_none_and_keys_that_do_nothing_are_told() {
    told(
        r##"[api]
listen = "localhost:7733"
client_ca = "ca.pem"
"##,
        r##"error: `api.listen` is not an address with a port: "localhost:7733"
 --> etc/gristmill.toml:2:10
  |
2 | listen = "localhost:7733"
  |          ^^^^^^^^^^^^^^^^
  |
  = help: write "127.0.0.1:7733"

error: `api.client_ca` asks for certificates of clients, and without TLS they have none
 --> etc/gristmill.toml:3:13
  |
3 | client_ca = "ca.pem"
  |             ^^^^^^^^
  |
  = help: give `api.tls_cert` and `api.tls_key` too"##,
    );
    for (text, cure) in [
        ("7733", "such as \"127.0.0.1:7733\""),
        (":7733", "\"0.0.0.0:7733\" for all networks"),
        ("http://127.0.0.1:7733", "such as"),
    ] {
        let errors = read(&format!("[api]\nlisten = \"{text}\"\n")).unwrap_err();
        assert!(errors.to_string().contains(cure), "{errors}");
    }
    let idle = good("[api]\nrate = \"5/s\"\nauth = \"token\"\n");
    assert_eq!(idle.warnings.len(), 2);
    let open = good("[api]\nlisten = \"0.0.0.0:7733\"\nauth = \"token\"\n");
    assert!(open.warnings[0].render(false).contains("without TLS"));
}
