//! Connections over real sockets: limits, slow clients, TLS and its certificates.

mod tls;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::limits::Pace;
use super::{Listening, Peer, Tls, listen, serve};

/// A server that says who asks, or, at `/large`, far too much.
pub(super) struct Stage {
    pub port: u16,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

const LARGE: usize = 64 * 1024 * 1024;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let peer = request.extensions().get::<Peer>().copied();
    let body = match request.uri().path() {
        "/large" => Bytes::from(vec![b'x'; LARGE]),
        _ => format!("{peer:?}").into(),
    };
    Ok(Response::new(Full::new(body)))
}

impl Stage {
    pub fn new(most: usize, tls: Option<Tls>) -> Self {
        Self::paced(most, tls, Pace::default())
    }

    fn paced(most: usize, tls: Option<Tls>, pace: Pace) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listening = Listening::Network {
            listener,
            tls,
            most,
            pace,
        };
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listening, service_fn(answer), async {
            let _ = stopped.await;
        }));
        Stage { port, stop, server }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    pub async fn end(self) {
        drop(self.stop);
        self.server.await.unwrap();
    }
}

/// Asks over a connection that is closed after it, and reads all that is said.
pub(super) async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<String> {
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn a_request_comes_with_who_asks() {
    let stage = Stage::new(4, None);
    let stream = stage.connect().await;
    let own = stream.local_addr().unwrap();
    let said = ask(stream).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(said.contains(&format!("address: {own}")), "{said}");
    assert!(said.contains("secure: false"), "{said}");
    stage.end().await;
}

#[tokio::test]
async fn one_more_than_may_be_connected_is_told_so_and_let_in_when_there_is_a_place() {
    let stage = Stage::new(2, None);
    let (mut first, second) = (stage.connect().await, stage.connect().await);
    // Both have their places when the first has its answer: they are taken in their order.
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 16];
    first.read_exact(&mut some).await.unwrap();
    let said = ask(second).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let second = stage.connect().await;
    let mut third = None;
    // The place of the one that has just ended may be given back a moment later.
    for _ in 0..100 {
        let said = ask(stage.connect().await).await.unwrap();
        if said.starts_with("HTTP/1.1 503") {
            third = Some(said);
            break;
        }
        tokio::task::yield_now().await;
    }
    let said = third.unwrap();
    assert!(
        said.contains("Retry-After: 1") && said.contains("\"busy\""),
        "{said}"
    );
    drop((first, second));
    loop {
        let said = ask(stage.connect().await).await.unwrap();
        if said.starts_with("HTTP/1.1 200") {
            break;
        }
    }
    stage.end().await;
}

/// So long a client may take here.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn one_that_does_not_say_what_it_wants_is_closed() {
    let pace = Pace {
        head: PATIENCE,
        ..Pace::default()
    };
    let stage = Stage::paced(4, None, pace);
    for begun in [&b""[..], b"GET / HT"] {
        let mut stream = stage.connect().await;
        stream.write_all(begun).await.unwrap();
        let began = Instant::now();
        let mut said = Vec::new();
        // It ends when the other end closes it.
        let _ = stream.read_to_end(&mut said).await;
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("200 OK"), "{said}");
    }
    stage.end().await;
}

#[tokio::test]
async fn one_that_does_not_take_what_it_asked_for_is_closed() {
    let pace = Pace {
        write: PATIENCE,
        ..Pace::default()
    };
    let stage = Stage::paced(1, None, pace);
    let mut stuck = stage.connect().await;
    stuck
        .write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    // It has the only place until it is closed.
    loop {
        let said = ask(stage.connect().await).await.unwrap_or_default();
        if said.starts_with("HTTP/1.1 200") {
            break;
        }
    }
    let mut said = Vec::new();
    let _ = stuck.read_to_end(&mut said).await;
    assert!(said.len() < LARGE, "all was taken");
    stage.end().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_headers_is_refused() {
    let stage = Stage::new(4, None);
    let long = format!("x: {}\r\n", "y".repeat(super::limits::MAX_HEAD));
    let many: String = (0..super::limits::MAX_HEADERS + 1)
        .map(|n| format!("x{n}: y\r\n"))
        .collect();
    for headers in [long, many] {
        let mut stream = stage.connect().await;
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.starts_with("HTTP/1.1 431"), "{said}");
    }
    stage.end().await;
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_told_with_the_cure() {
    let stage = Stage::new(1, None);
    let address = format!("127.0.0.1:{}", stage.port).parse().unwrap();
    let error = listen(address).unwrap_err().to_string();
    assert!(error.contains("another process listens there"), "{error}");
    let error = listen("192.0.2.1:7733".parse().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no network of this machine"), "{error}");
    stage.end().await;
}
