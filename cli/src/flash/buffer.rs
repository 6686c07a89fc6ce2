//! Memory for pieces of an image: aligned so that a drive takes it past the page cache, and used again.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::extents::ALIGN;

/// Buffers of one length.
#[derive(Debug)]
pub(super) struct Pool {
    length: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    pub(super) fn new(length: usize) -> Arc<Self> {
        let free = Mutex::new(Vec::new());
        Arc::new(Self { length, free })
    }

    /// A buffer; what is in it is of no interest.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = free.pop();
        drop(free);
        let align = usize::from(ALIGN);
        let memory = memory.unwrap_or_else(|| vec![0; self.length + align]);
        let start = memory.as_ptr().align_offset(align);
        Buffer {
            memory,
            // Never so: it is asked of memory that is there.
            start: if start > align { 0 } else { start },
            pool: Arc::clone(self),
        }
    }
}

/// Memory that goes back when it is dropped.
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    pool: Arc<Pool>,
}

impl Buffer {
    pub(super) fn bytes(&self) -> &[u8] {
        let end = self.start + self.pool.length;
        self.memory.get(self.start..end).unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let end = self.start + self.pool.length;
        self.memory.get_mut(self.start..end).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(memory);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_used_again() {
        let pool = Pool::new(10_000);
        let mut one = pool.take();
        one.bytes_mut().fill(7);
        let two = pool.take();
        for buffer in [&one, &two] {
            assert_eq!(buffer.bytes().len(), 10_000);
            assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGN.into()), 0);
        }
        drop(one);
        assert_eq!(pool.take().bytes()[0], 7);
        drop(two);
    }
}
