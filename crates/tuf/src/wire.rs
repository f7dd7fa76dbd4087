//! The bytes between a device and the authority: texts with their length before them, and numbers.

/// Writes `u8(length) ‖ bytes`.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    // Every name of the domain is at most 256 bytes; a longer one is cut, and no name any more.
    let bytes = &text.as_bytes()[..text.len().min(u8::MAX.into())];
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

/// The next `length` bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// What [`put_text`] wrote.
pub(crate) fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = *take(rest, 1)?.first()?;
    std::str::from_utf8(take(rest, length.into())?).ok()
}

/// A number, big-endian.
pub(crate) fn number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(take(rest, 8)?.try_into().ok()?))
}
