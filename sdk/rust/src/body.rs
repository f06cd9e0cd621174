//! Reading a body piece by piece, for those that are too large for the handler's memory.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::{Message, MessageId, host};

/// Bytes that are asked of the host at once: what it verifies together.
const PIECE: u32 = 64 * 1024;

/// Why a body cannot be read.
pub(crate) const NOT_DELIVERED: &str =
    "the message is not of this delivery, so its body cannot be read";

/// Reads the body of a message from its beginning; made by [`Message::reader`].
///
/// It reads from the host as it goes and holds 64 KiB at most. Seeking costs nothing.
#[derive(Debug)]
pub struct BodyReader {
    of: MessageId,
    size: u64,
    /// Where in the body `piece` begins.
    begin: u64,
    piece: Vec<u8>,
    /// How much of `piece` was read.
    read: usize,
}

impl BodyReader {
    /// Bytes of the whole body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    fn position(&self) -> u64 {
        self.begin + self.read as u64
    }
}

impl Message {
    /// Reads the body piece by piece, however large it is.
    ///
    /// A handler that calls this anywhere gets large bodies (by default those of more than 256 KiB)
    /// only this way: `body` is empty then. Small ones are in `body` all the same, and can be read
    /// here too. A handler that does not call it gets every body whole, and has to have the memory.
    ///
    /// # Errors
    /// When the message is not of the delivery that is under way.
    pub fn reader(&self) -> io::Result<BodyReader> {
        Ok(BodyReader {
            size: host::body::size(&self.id)?,
            of: self.id.clone(),
            begin: 0,
            piece: Vec::new(),
            read: 0,
        })
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.piece.len() && self.position() < self.size {
            let at = self.position();
            self.piece = host::body::read(&self.of, at, PIECE)?;
            (self.begin, self.read) = (at, 0);
        }
        Ok(&self.piece[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read = self.piece.len().min(self.read + amount);
    }
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl Seek for BodyReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.position(), by),
            SeekFrom::End(by) => (self.size, by),
        };
        let at = base.checked_add_signed(by).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is nothing before the body",
            )
        })?;
        (self.begin, self.read) = (at, 0);
        self.piece = Vec::new();
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Failure;
    use crate::testing::Delivery;

    fn large() -> Vec<u8> {
        (0..=255).cycle().take(200_003).collect()
    }

    #[test]
    fn a_large_body_is_read_piece_by_piece_and_is_not_in_the_message() {
        let handle = |message: Message| -> Result<(), Failure> {
            assert!(message.body.is_empty());
            let mut reader = message.reader()?;
            assert_eq!(reader.size(), 200_003);
            let mut read = Vec::new();
            reader.read_to_end(&mut read)?;
            assert!(read == large());
            for (to, at, rest) in [
                (SeekFrom::Start(200_000), 200_000, 3),
                (SeekFrom::End(-1), 200_002, 1),
                (SeekFrom::Current(-2), 200_001, 2),
                (SeekFrom::Start(300_000), 300_000, 0),
            ] {
                assert_eq!(reader.seek(to)?, at);
                read.clear();
                reader.read_to_end(&mut read)?;
                assert_eq!(read.len(), rest);
                assert!(read == large()[200_003 - rest..]);
            }
            assert!(reader.seek(SeekFrom::Start(0)).is_ok());
            assert!(reader.seek(SeekFrom::Current(-1)).is_err());
            Ok(())
        };
        let message = Message::with_large_body(large());
        assert_eq!(Delivery::new().run(handle, message), Ok(()));
    }

    #[test]
    fn a_small_body_is_read_as_well() {
        let handle = |message: Message| -> Result<(), Failure> {
            let lines: io::Result<Vec<String>> = message.reader()?.lines().collect();
            assert_eq!(lines?, ["a", "b"]);
            assert_eq!(message.body, b"a\nb");
            Ok(())
        };
        let message = Message::with_text("a\nb");
        assert_eq!(Delivery::new().run(handle, message), Ok(()));
    }

    #[test]
    fn another_message_cannot_be_read() {
        let handle = |message: Message| -> Result<(), Failure> {
            let other = message.with_id("00000000-0000-7000-8000-000000000009");
            let error = other.reader().unwrap_err();
            assert!(
                error.to_string().contains("not of this delivery"),
                "{error}"
            );
            Ok(())
        };
        let message = Message::with_text("x");
        assert_eq!(Delivery::new().run(handle, message), Ok(()));
    }
}
