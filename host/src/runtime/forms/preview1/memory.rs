//! The memory of a program: what it names by address and length, and nothing beyond it.

use super::{Done, FAULT, MAX_BUFFERS, MAX_BYTES};

/// The memory of a program. Every access is checked.
pub(super) struct Guest<'a>(pub(super) &'a mut [u8]);

impl Guest<'_> {
    pub(super) fn slice(&mut self, at: u32, length: u32) -> Done<&mut [u8]> {
        let (at, length) = (at as usize, length as usize);
        let end = at.checked_add(length).ok_or(FAULT)?;
        self.0.get_mut(at..end).ok_or(FAULT)
    }

    pub(super) fn put(&mut self, at: u32, bytes: &[u8]) -> Done {
        let length = u32::try_from(bytes.len()).map_err(|_| FAULT)?;
        self.slice(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: u32, value: usize) -> Done {
        let value = u32::try_from(value).map_err(|_| FAULT)?;
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn u32(&mut self, at: u32) -> Done<u32> {
        let bytes: [u8; 4] = self.slice(at, 4)?.try_into().map_err(|_| FAULT)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn u64(&mut self, at: u32) -> Done<u64> {
        let bytes: [u8; 8] = self.slice(at, 8)?.try_into().map_err(|_| FAULT)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Texts that end with a NUL, and where each begins.
    pub(super) fn put_texts(&mut self, texts: &[String], mut pointers: u32, mut at: u32) -> Done {
        for text in texts {
            self.put_u32(pointers, at as usize)?;
            self.put(at, text.as_bytes())?;
            pointers = pointers.checked_add(4).ok_or(FAULT)?;
            at = u32::try_from(at as usize + text.len()).map_err(|_| FAULT)?;
        }
        Ok(())
    }

    pub(super) fn put_sizes(&mut self, texts: &[String], count: u32, bytes: u32) -> Done {
        self.put_u32(count, texts.len())?;
        self.put_u32(bytes, texts.iter().map(String::len).sum())
    }

    /// Goes through a list of buffers, with the bytes of each, until `each` wants no more. Gives how
    /// many bytes it took in all.
    pub(super) fn buffers(
        &mut self,
        list: u32,
        count: u32,
        mut each: impl FnMut(&mut [u8]) -> usize,
    ) -> Done<usize> {
        let mut moved = 0;
        for number in 0..count.min(MAX_BUFFERS) {
            let entry = list.checked_add(number * 8).ok_or(FAULT)?;
            let (at, length) = (
                self.u32(entry)?,
                self.u32(entry.checked_add(4).ok_or(FAULT)?)?,
            );
            let buffer = self.slice(at, length)?;
            let wanted = buffer.len().min(MAX_BYTES - moved);
            let taken = each(&mut buffer[..wanted]);
            moved += taken;
            if taken < buffer.len() {
                break;
            }
        }
        Ok(moved)
    }
}
