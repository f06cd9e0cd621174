//! Reading a large body: any piece by itself, verified.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use gristmill_queue::{BlobReader, BlobRef, BlobUnavailable};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Blobs, PIECE, SUM, length};

/// A large body that is open. It can be read to its end even if its message ends meanwhile.
pub struct Blob {
    file: File,
    blob: BlobRef,
    sums: Vec<u8>,
}

impl Blob {
    pub(crate) fn open(blobs: &Blobs, blob: BlobRef) -> Result<Self, BlobUnavailable> {
        let damaged = BlobUnavailable::Damaged(blob.name);
        let mut sums = Vec::new();
        let opened = File::open(blobs.path(blob.name)).and_then(|file| {
            use std::io::{Seek, SeekFrom};
            let whole = file.metadata()?.len() == length(blob.size);
            if whole {
                (&file).seek(SeekFrom::Start(blob.size))?;
                (&file).take(length(blob.size)).read_to_end(&mut sums)?;
            }
            Ok((file, whole))
        });
        match opened {
            Ok((file, true)) if xxh3_64_with_seed(&sums, blob.size) == blob.checksum => {
                Ok(Blob { file, blob, sums })
            }
            Ok(_) => Err(damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged),
            Err(error) => Err(BlobUnavailable::Io(error.to_string())),
        }
    }

    /// All of it: for those that must have it whole.
    ///
    /// # Errors
    /// As [`BlobReader::read_at`].
    pub fn whole(&self) -> Result<Bytes, BlobUnavailable> {
        let size = usize::try_from(self.blob.size)
            .map_err(|_| BlobUnavailable::Io("it is larger than memory can be".to_owned()))?;
        let mut body = vec![0; size];
        self.read_at(0, &mut body)?;
        Ok(body.into())
    }
}

impl BlobReader for Blob {
    fn size(&self) -> u64 {
        self.blob.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, BlobUnavailable> {
        let size = self.blob.size;
        let wanted = (into.len() as u64).min(size.saturating_sub(offset));
        let mut piece = [0; PIECE];
        let mut done = 0;
        while done < wanted {
            let number = (offset + done) / PIECE as u64;
            let begin = number * PIECE as u64;
            let length = usize::try_from((size - begin).min(PIECE as u64)).unwrap_or(PIECE);
            let piece = &mut piece[..length];
            self.file
                .read_exact_at(piece, begin)
                .map_err(|error| BlobUnavailable::Io(error.to_string()))?;
            let at = usize::try_from(number * SUM).unwrap_or(usize::MAX);
            if self.sums.get(at..at + 8) != Some(&xxh3_64(piece).to_le_bytes()) {
                return Err(BlobUnavailable::Damaged(self.blob.name));
            }
            let skip = usize::try_from(offset + done - begin).unwrap_or(0);
            let most = usize::try_from(wanted - done).unwrap_or(usize::MAX);
            let part = &piece[skip..];
            let part = &part[..part.len().min(most)];
            let at = usize::try_from(done).unwrap_or(0);
            into[at..at + part.len()].copy_from_slice(part);
            done += part.len() as u64;
        }
        Ok(usize::try_from(done).unwrap_or(0))
    }
}
