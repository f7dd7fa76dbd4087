//! Elements of DER (X.690): read where each byte has one right value, and written so.

/// The content of the element at the start of `der` if it has this tag and a length in its one DER form (X.690 §10.1), and the
/// rest.
pub(crate) fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *der {
        [found, length @ 0..=0x7f, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x81, length @ 0x80..=0xff, ref rest @ ..] if found == tag => (usize::from(length), rest),
        [found, 0x82, high @ 1..=0xff, low, ref rest @ ..] if found == tag => {
            (usize::from(u16::from_be_bytes([high, low])), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The element of this tag whose content is `parts`, one after the other. `None` if they have more than 4 GiB together: revocation
/// lists are long.
pub(crate) fn write(tag: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut der = Vec::with_capacity(6 + length);
    der.push(tag);
    match u32::try_from(length).ok()?.to_be_bytes() {
        [0, 0, 0, low @ 0..=0x7f] => der.push(low),
        [0, 0, 0, low] => der.extend_from_slice(&[0x81, low]),
        [0, 0, high, low] => der.extend_from_slice(&[0x82, high, low]),
        [0, highest, high, low] => der.extend_from_slice(&[0x83, highest, high, low]),
        all => der.extend_from_slice(&[&[0x84], &all[..]].concat()),
    }
    parts.iter().for_each(|part| der.extend_from_slice(part));
    Some(der)
}

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_one_form() {
        let of = |length: usize, header: &[u8]| {
            let der = [header, &vec![7; length]].concat();
            element(&der, SEQUENCE).map(|(content, rest)| (content.len(), rest.len()))
        };
        for (length, header) in [
            (0, &[0x30, 0][..]),
            (127, &[0x30, 127]),
            (128, &[0x30, 0x81, 128]),
            (255, &[0x30, 0x81, 255]),
            (256, &[0x30, 0x82, 1, 0]),
        ] {
            assert_eq!(of(length, header), Some((length, 0)));
            assert_eq!(of(length + 1, header), Some((length, 1)));
            assert!(length == 0 || of(length - 1, header).is_none());
            assert_eq!(write(SEQUENCE, &[&vec![7; length]]), Some([header, &vec![7; length]].concat()));
        }
        for header in [
            &[0x30, 0x81, 127][..],
            &[0x30, 0x82, 0, 255],
            &[0x30, 0x83, 0, 1, 0],
            &[0x30, 0x80],
            &[0x31, 1],
            &[0x30],
            &[],
        ] {
            assert_eq!(of(if header.len() < 3 { 0 } else { 300 }, header), None, "{header:?}");
        }
    }

    #[test]
    fn what_is_read_has_at_most_65_535_bytes_and_what_is_written_may_have_more() {
        let half = [0; 32_768];
        let written = |parts: &[&[u8]]| write(SEQUENCE, parts).unwrap();
        assert!(element(&written(&[&half, &half[1..]]), SEQUENCE).is_some());
        let long = written(&[&half, &half]);
        assert_eq!((&long[..5], long.len()), (&[0x30, 0x83, 1, 0, 0][..], 5 + 65_536));
        assert_eq!(element(&long, SEQUENCE), None);
        let longer = vec![0; 1 << 24];
        assert_eq!(written(&[&longer])[..6], [0x30, 0x84, 1, 0, 0, 0]);
    }
}
