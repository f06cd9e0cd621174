//! `gristmill:queue/body`: large bodies, piece by piece.
//!
//! A read is short, of a file that the host has open, and is done on the guest's own thread: handing
//! it to another would take longer.

use std::sync::Arc;

use gristmill_queue::{BlobUnavailable, Message, limits};

use crate::runtime::bindings::queue::gristmill::queue::body::{Error, Host};
use crate::runtime::instance::{Call, Sandbox};

impl Call {
    fn delivered(&self, id: &str) -> Option<&Message> {
        let id = id.parse().ok()?;
        let mut messages = self.messages.all().iter();
        messages.find(|message| message.id == id).map(Arc::as_ref)
    }
}

impl Host for Sandbox {
    fn size(&mut self, of: String) -> wasmtime::Result<Result<u64, Error>> {
        let call = self.call()?;
        Ok(call
            .delivered(&of)
            .map(Message::size)
            .ok_or(Error::NotDelivered))
    }

    fn read(
        &mut self,
        of: String,
        offset: u64,
        most: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        let call = self.call()?;
        let Some(message) = call.delivered(&of) else {
            return Ok(Err(Error::NotDelivered));
        };
        let most = most.min(limits::MAX_BODY_READ) as usize;
        let Some(large) = &call.large else {
            let body = &message.body;
            let begin = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(body.len());
            let end = body.len().min(begin + most);
            return Ok(Ok(body[begin..end].to_vec()));
        };
        let left = large.size().saturating_sub(offset);
        let mut piece = vec![0; most.min(usize::try_from(left).unwrap_or(usize::MAX))];
        match large.read_at(offset, &mut piece) {
            Ok(_) => Ok(Ok(piece)),
            Err(BlobUnavailable::Io(problem)) => Ok(Err(Error::Unavailable(problem))),
            Err(damaged @ BlobUnavailable::Damaged(_)) => {
                call.damaged = true;
                Err(wasmtime::Error::msg(damaged.to_string()))
            }
        }
    }
}
