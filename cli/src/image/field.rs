//! Numbers of a few bytes, least byte first, as disks hold them.

/// The byte at an offset.
pub(super) fn u8_at(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// Two bytes.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

/// Four bytes.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

/// Eight bytes.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

/// As many bytes as the array has.
pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Writes bytes into others. What would reach beyond their end is not written, and `false`.
pub(super) fn put(into: &mut [u8], at: usize, bytes: &[u8]) -> bool {
    let place = at
        .checked_add(bytes.len())
        .and_then(|end| into.get_mut(at..end));
    place.map(|place| place.copy_from_slice(bytes)).is_some()
}
