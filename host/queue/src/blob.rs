//! Large bodies: what a message says of a body that is stored aside.
//!
//! The core knows how large it is and how it is recognized; where it lies is the store's business.

/// A body that is stored aside, in place of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Under which it is stored; never reused.
    pub name: u64,
    /// Its bytes.
    pub size: u64,
    /// Of its content; bodies that are alike have the same.
    pub checksum: u64,
}

/// Reads a large body, piece by piece, so that nobody has to hold all of it.
pub trait BlobReader: Send + Sync {
    /// Bytes of the body.
    fn size(&self) -> u64;

    /// Fills `into` with what stands at `offset`, as far as the body goes, and says how much that was.
    /// What is returned was verified.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, BlobUnavailable>;
}

/// Why a large body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobUnavailable {
    /// It is not what was written, or not there.
    #[error("the body that is stored aside as {0:016x} is damaged")]
    Damaged(u64),
    /// The disk failed.
    #[error("the body that is stored aside could not be read: {0}")]
    Io(String),
}
