//! Numbers of variable length, as in protobuf: 7 bits a byte, the lowest first; signed ones in zigzag.
//!
//! Kafka calls 32 bits `varint` and 64 bits `varlong`. A number that takes more bytes or bits than its type has is
//! malformed; one with needless zero bytes is not.

/// Most bytes of a 32-bit number.
pub(super) const MAX_INT_SIZE: usize = 5;
/// Most bytes of a 64-bit number.
pub(super) const MAX_LONG_SIZE: usize = 10;

/// Bytes that [`put`] writes for `value`. The same for both widths, which differ only in their range.
pub(super) const fn size(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends [`size`] bytes that read back as `value`.
#[inline]
pub(super) fn put(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        buffer.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

/// The 64-bit number at the start of `bytes` and the bytes that it takes; `None` if it is cut or too long.
#[inline]
pub(super) fn read_long(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut raw = 0_u64;
    for (index, &byte) in bytes.iter().take(MAX_LONG_SIZE).enumerate() {
        let low = u64::from(byte & 0x7f);
        if index == 9 && low > 1 {
            return None;
        }
        raw |= low << (7 * index);
        if byte & 0x80 == 0 {
            return Some((unzigzag(raw), index + 1));
        }
    }
    None
}

/// The 32-bit number at the start of `bytes` and the bytes that it takes; `None` if it is cut or too long.
#[inline]
pub(super) fn read_int(bytes: &[u8]) -> Option<(i32, usize)> {
    let (value, size) = read_long(bytes)?;
    if size > MAX_INT_SIZE {
        return None;
    }
    Some((i32::try_from(value).ok()?, size))
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: i64) -> Vec<u8> {
        let mut buffer = Vec::new();
        put(&mut buffer, value);
        buffer
    }

    #[test]
    fn small_numbers_are_as_in_protobufs_table() {
        for (value, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            assert_eq!(encoded(value), bytes);
            assert_eq!(size(value), bytes.len());
            assert_eq!(read_int(bytes), Some((value as i32, bytes.len())));
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused() {
        assert_eq!(read_int(&[]), None);
        assert_eq!(read_int(&[0x80]), None);
        assert_eq!(read_int(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(read_int(&[0x80, 0x80, 0x80, 0x80, 0x80, 0]), None);
        assert_eq!(read_long(&[0xff; 11]), None);
        assert_eq!(read_long(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
    }

    proptest! {
        #[test]
        fn every_long_comes_back(value: i64, behind: Vec<u8>) {
            let mut bytes = encoded(value);
            let length = bytes.len();
            prop_assert_eq!(length, size(value));
            bytes.extend(behind);
            prop_assert_eq!(read_long(&bytes), Some((value, length)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = read_long(&bytes);
            let _ = read_int(&bytes);
        }
    }
}
