//! TLS: certificates that are believed, exchanged while connections come, and asked of clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Stage, ask};
use crate::net::{Stream, Tls, TlsFiles, Trust, connect};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `localhost` and its key, as PEM.
fn certificate(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write(folder: &Path, (cert, key): &(String, String)) -> TlsFiles {
    let files = TlsFiles {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        client_ca: None,
    };
    fs::write(&files.cert, cert).unwrap();
    fs::write(&files.key, key).unwrap();
    files
}

fn ca_file(folder: &Path, authority: &Authority) -> PathBuf {
    let path = folder.join("ca.pem");
    fs::write(&path, authority.as_ref().pem()).unwrap();
    path
}

async fn asked(port: u16, trust: &Trust) -> std::io::Result<String> {
    let stream = connect("localhost", port, Some(trust)).await?;
    assert!(matches!(stream, Stream::Private(_)));
    ask(stream).await
}

#[tokio::test]
async fn a_host_is_believed_by_its_authority_only() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (authority("ours"), authority("other"));
    let files = write(folder.path(), &certificate(&ours));
    let stage = Stage::new(4, Some(Tls::open(files).unwrap()));
    let trust = Trust::load(Some(&ca_file(folder.path(), &ours))).unwrap();
    let said = asked(stage.port, &trust).await.unwrap();
    assert!(said.contains("secure: true"), "{said}");
    let wrong = Trust::load(Some(&ca_file(folder.path(), &other))).unwrap();
    let error = asked(stage.port, &wrong).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // By another name it is another host.
    let error = connect("127.0.0.1", stage.port, Some(&trust))
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
    // Without TLS nothing is said.
    let plain = TcpStream::connect(("127.0.0.1", stage.port)).await.unwrap();
    assert!(!ask(plain).await.unwrap_or_default().contains("HTTP"));
    stage.end().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_while_connections_come_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (authority("before"), authority("after"));
    let files = write(folder.path(), &certificate(&before));
    let tls = Tls::checked_every(files, Duration::ZERO).unwrap();
    let stage = Stage::new(4, Some(tls));
    let old = Trust::load(Some(&ca_file(folder.path(), &before))).unwrap();
    let new = Trust::load(Some(&ca_file(folder.path(), &after))).unwrap();
    asked(stage.port, &old).await.unwrap();
    fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    asked(stage.port, &old).await.unwrap();
    write(folder.path(), &certificate(&after));
    asked(stage.port, &new).await.unwrap();
    asked(stage.port, &old).await.unwrap_err();
    stage.end().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_kept_out_where_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (hosts, clients, others) = (
        authority("hosts"),
        authority("clients"),
        authority("others"),
    );
    let mut files = write(folder.path(), &certificate(&hosts));
    files.client_ca = Some(ca_file(folder.path(), &clients));
    let stage = Stage::new(4, Some(Tls::open(files).unwrap()));
    let ask_as = async |own: Option<(String, String)>| {
        let mut roots = rustls::RootCertStore::empty();
        let host = CertificateDer::from_pem_slice(hosts.as_ref().pem().as_bytes()).unwrap();
        roots.add(host).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let cert = CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        let stream = TcpStream::connect(("127.0.0.1", stage.port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        ask(stream).await
    };
    let said = ask_as(Some(certificate(&clients))).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    ask_as(None).await.unwrap_err();
    ask_as(Some(certificate(&others))).await.unwrap_err();
    stage.end().await;
}

#[test]
fn files_that_cannot_be_used_are_told_by_name_and_without_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let ours = authority("ours");
    let (one, two) = (certificate(&ours), certificate(&ours));
    let open = |cert: &str, key: &str| {
        let files = write(folder.path(), &(cert.to_owned(), key.to_owned()));
        Tls::open(files).err().unwrap().to_string()
    };
    for (error, words) in [
        (open("", &one.1), "there is no certificate in it"),
        (open(&one.0, ""), "there is no private key in it"),
        (
            open(
                &one.0,
                "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n",
            ),
            "key.pem",
        ),
        (open(&one.0, &two.1), "cannot be used together"),
    ] {
        assert!(error.contains(words) && error.contains(".pem"), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let mut files = write(folder.path(), &one);
    files.client_ca = Some(folder.path().join("absent.pem"));
    let error = Tls::open(files).err().unwrap().to_string();
    assert!(error.contains("absent.pem"), "{error}");
    assert!(Trust::load(Some(&folder.path().join("absent.pem"))).is_err());
}
