//! Values that cost nothing to make.

/// Values of one size, random so that compression finds nothing, taken from a fixed pool so that making them costs
/// nothing.
#[derive(Clone, Debug)]
pub struct Values {
    pool: Vec<u8>,
    size: usize,
}

impl Values {
    const POOL_BYTES: usize = 4 << 20;

    /// Values of this size, bytes.
    pub fn new(size: u32) -> Self {
        let size = size as usize;
        // xorshift64: the values must only be incompressible, not unpredictable.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut pool = Vec::with_capacity(Self::POOL_BYTES + size);
        while pool.len() < Self::POOL_BYTES + size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            pool.extend_from_slice(&state.to_le_bytes());
        }
        Self { pool, size }
    }

    /// The value of record `index`.
    pub fn get(&self, index: u64) -> &[u8] {
        let start = (index.wrapping_mul(1_009) % Self::POOL_BYTES as u64) as usize;
        &self.pool[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_size_and_differ() {
        let values = Values::new(100);
        assert_eq!(values.get(0).len(), 100);
        assert_eq!(values.get(u64::MAX).len(), 100);
        assert_ne!(values.get(0), values.get(1));
    }
}
