//! Memory that direct IO accepts: it starts on a page.

/// Where direct IO may start, in a file and in memory, and what its lengths are multiples of:
/// enough for every disk of today.
pub(crate) const ALIGNMENT: usize = 4096;

/// Bytes of which the first lies on a page.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// More than are used: the allocator promises no page.
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub(crate) fn new(length: usize) -> Self {
        // Never grown or moved from now on, so that the start stays where it is.
        let bytes = vec![0; length.saturating_add(ALIGNMENT)];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, length }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.length).unwrap_or_default()
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_on_a_page_wherever_they_go() {
        for length in [1, ALIGNMENT, 1 << 20] {
            let mut buffer = Box::new(Buffer::new(length));
            assert_eq!(buffer.as_mut_slice().len(), length);
            let moved = *buffer;
            assert_eq!(moved.as_slice().len(), length);
            assert_eq!(moved.as_slice().as_ptr().addr() % ALIGNMENT, 0);
        }
    }
}
