//! The bodies of a request and of its response.
//!
//! What came is there from the beginning, so reading never waits. What is written is held until the guest has
//! returned: it counts only then.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::io::poll::Pollable as DynPollable;
use wasmtime_wasi::p2::bindings::io::streams::{
    InputStream as DynInputStream, OutputStream as DynOutputStream,
};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{
    InputStream, OutputStream, Pollable, StreamError, StreamResult, subscribe,
};

use super::fields::Fields;
use crate::runtime::bindings::http::wasi::http::types::{
    ErrorCode, HostFutureTrailers, HostIncomingBody, HostOutgoingBody,
};
use crate::runtime::forms::Broken;
use crate::runtime::instance::Sandbox;

/// How much a guest may write at once; the most that `write-zeroes` makes the host allocate.
const WRITE_PERMIT: usize = 64 * 1024;

/// The body of the request: a stream that can be asked for once.
pub struct IncomingBody(pub(super) Option<Incoming>);

/// What is left to read of it.
#[derive(Clone)]
pub(super) struct Incoming(MemoryInputPipe);

impl Incoming {
    pub(super) fn new(bytes: Bytes) -> Self {
        Incoming(MemoryInputPipe::new(bytes))
    }

    /// Lets go of what nobody has read: an instance that is reused may keep the stream.
    pub(super) fn forget(mut self) {
        // At the end there is nothing to forget.
        let _ = self.0.read(usize::MAX);
    }
}

/// What comes after the body of the request: nothing.
pub struct FutureTrailers {
    taken: bool,
}

/// How many bytes the host may hold for the bodies of all responses of an instance together. One that is
/// reused may have kept some that nobody reads any more.
#[derive(Debug)]
pub(super) struct Room {
    most: u64,
    used: AtomicU64,
}

impl Room {
    pub(super) fn new(most: u64) -> Arc<Self> {
        Arc::new(Room {
            most,
            used: AtomicU64::new(0),
        })
    }
}

/// What was written, for whoever writes it and for whoever reads it in the end.
#[derive(Clone, Default)]
pub(super) struct Written(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    bytes: BytesMut,
    /// How much was written, kept or not.
    length: u64,
    state: State,
    /// Where what is kept is counted. A request goes nowhere, and nothing of it is kept.
    room: Option<Arc<Room>>,
}

impl Content {
    /// What is kept, which is then counted no more.
    fn take(&mut self) -> Bytes {
        let bytes = std::mem::take(&mut self.bytes).freeze();
        if let Some(room) = &self.room {
            room.used.fetch_sub(bytes.len() as u64, Relaxed);
        }
        bytes
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.take();
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nobody has asked for it: it is empty.
    #[default]
    Untouched,
    /// Somebody writes, or has stopped in the middle.
    Begun,
    Finished,
}

impl Written {
    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body to write to, if nobody has it yet. What is written is kept if there is `room` for it, and
    /// thrown away if nobody would read it.
    pub(super) fn begin(
        &self,
        declared: Option<u64>,
        room: Option<Arc<Room>>,
    ) -> Option<OutgoingBody> {
        let mut content = self.lock();
        if content.state != State::Untouched {
            return None;
        }
        content.state = State::Begun;
        content.room = room;
        Some(OutgoingBody {
            sink: Some(Sink(self.clone())),
            written: self.clone(),
            declared,
        })
    }

    /// All of it; `None` if it was begun and not finished.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mut content = self.lock();
        let complete = content.state != State::Begun;
        complete.then(|| content.take())
    }

    /// Ends it, if it is as long as was declared. Nothing can be written after that.
    fn finish(&self, declared: Option<u64>) -> Result<(), ErrorCode> {
        let mut content = self.lock();
        if declared.is_some_and(|declared| declared != content.length) {
            return Err(ErrorCode::HttpResponseBodySize(Some(content.length)));
        }
        content.state = State::Finished;
        Ok(())
    }
}

/// A body in the guest's hands.
pub struct OutgoingBody {
    sink: Option<Sink>,
    written: Written,
    declared: Option<u64>,
}

/// The stream of it.
struct Sink(Written);

impl OutputStream for Sink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut content = self.0.lock();
        if content.state == State::Finished {
            return Err(StreamError::Closed);
        }
        let length = bytes.len() as u64;
        content.length += length;
        let Some(room) = &content.room else {
            return Ok(());
        };
        if room.used.load(Relaxed) + length > room.most {
            return Err(StreamError::Trap(Broken::limit(format!(
                "wrote more than {} bytes as the body of its response: answer with less, or raise \
                 `max_send_bytes`",
                room.most
            ))));
        }
        room.used.fetch_add(length, Relaxed);
        content.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.0.lock().state {
            State::Finished => Err(StreamError::Closed),
            State::Untouched | State::Begun => Ok(WRITE_PERMIT),
        }
    }
}

#[async_trait]
impl Pollable for Sink {
    async fn ready(&mut self) {}
}

#[async_trait]
impl Pollable for FutureTrailers {
    async fn ready(&mut self) {}
}

impl HostIncomingBody for Sandbox {
    fn stream(
        &mut self,
        body: Resource<IncomingBody>,
    ) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        let Some(incoming) = self.table.get_mut(&body)?.0.take() else {
            return Ok(Err(()));
        };
        let stream: DynInputStream = Box::new(incoming.0);
        Ok(Ok(self.table.push(stream)?))
    }

    fn finish(
        &mut self,
        body: Resource<IncomingBody>,
    ) -> wasmtime::Result<Resource<FutureTrailers>> {
        self.table.delete(body)?;
        Ok(self.table.push(FutureTrailers { taken: false })?)
    }

    fn drop(&mut self, body: Resource<IncomingBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl HostFutureTrailers for Sandbox {
    fn subscribe(
        &mut self,
        trailers: Resource<FutureTrailers>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(&mut self.table, trailers)
    }

    fn get(
        &mut self,
        trailers: Resource<FutureTrailers>,
    ) -> wasmtime::Result<Option<Result<Result<Option<Resource<Fields>>, ErrorCode>, ()>>> {
        let trailers = self.table.get_mut(&trailers)?;
        Ok(Some(match std::mem::replace(&mut trailers.taken, true) {
            true => Err(()),
            false => Ok(Ok(None)),
        }))
    }

    fn drop(&mut self, trailers: Resource<FutureTrailers>) -> wasmtime::Result<()> {
        self.table.delete(trailers)?;
        Ok(())
    }
}

impl HostOutgoingBody for Sandbox {
    fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let Some(sink) = self.table.get_mut(&body)?.sink.take() else {
            return Ok(Err(()));
        };
        let stream: DynOutputStream = Box::new(sink);
        Ok(Ok(self.table.push(stream)?))
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<Fields>>,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        if let Some(trailers) = trailers {
            self.take_fields(trailers)?;
        }
        let body = self.table.delete(body)?;
        Ok(body.written.finish(body.declared))
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> wasmtime::Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(body: &mut OutgoingBody) -> Sink {
        body.sink.take().unwrap()
    }

    #[test]
    fn a_body_counts_when_it_is_finished_or_was_never_begun() {
        assert_eq!(Written::default().take(), Some(Bytes::new()));
        let written = Written::default();
        let mut body = written.begin(None, Some(Room::new(10))).unwrap();
        assert!(written.begin(None, None).is_none(), "there is one body");
        let mut sink = sink(&mut body);
        sink.write("abc".into()).unwrap();
        sink.write("def".into()).unwrap();
        assert_eq!(written.take(), None);
        body.written.finish(None).unwrap();
        assert!(matches!(sink.check_write(), Err(StreamError::Closed)));
        assert!(matches!(sink.write("g".into()), Err(StreamError::Closed)));
        assert_eq!(written.take().unwrap(), "abcdef");
    }

    #[test]
    fn of_a_request_that_is_over_nothing_is_kept() {
        let incoming = Incoming::new("abcdef".into());
        let mut stream = incoming.clone().0;
        assert_eq!(stream.read(2).unwrap(), "ab");
        incoming.clone().forget();
        assert!(matches!(stream.read(2), Err(StreamError::Closed)));
        incoming.forget();
    }

    #[test]
    fn a_body_of_another_length_than_was_declared_is_not_finished() {
        let written = Written::default();
        let mut body = written.begin(Some(4), Some(Room::new(10))).unwrap();
        sink(&mut body).write("abc".into()).unwrap();
        assert!(matches!(
            body.written.finish(body.declared),
            Err(ErrorCode::HttpResponseBodySize(Some(3)))
        ));
        assert_eq!(written.take(), None);
    }

    #[test]
    fn all_bodies_that_are_held_share_one_limit_and_what_goes_nowhere_is_not_kept() {
        let room = Room::new(5);
        let begin = || {
            Written::default()
                .begin(None, Some(Arc::clone(&room)))
                .unwrap()
        };
        let mut first = begin();
        sink(&mut first).write("abc".into()).unwrap();
        let mut second = begin();
        let refused = sink(&mut second).write("def".into()).unwrap_err();
        let StreamError::Trap(error) = refused else {
            panic!("{refused:?}");
        };
        let text = error.downcast_ref::<Broken>().unwrap().to_string();
        assert!(text.contains("more than 5 bytes") && text.contains("max_send_bytes"));
        // What is read, or dropped, makes room; and is counted no more than once.
        first.written.finish(None).unwrap();
        let kept = first.written.clone();
        assert_eq!(kept.take().unwrap(), "abc");
        drop((first, second, kept));
        assert_eq!(room.used.load(Relaxed), 0);
        let mut third = begin();
        sink(&mut third).write("12345".into()).unwrap();
        drop(third);
        assert_eq!(room.used.load(Relaxed), 0);

        let nowhere = Written::default();
        let mut body = nowhere.begin(None, None).unwrap();
        let mut sink = sink(&mut body);
        for _ in 0..100 {
            sink.write(vec![0; WRITE_PERMIT].into()).unwrap();
        }
        assert!(nowhere.lock().bytes.is_empty());
    }
}
