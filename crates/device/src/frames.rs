//! Framed fields (DDKG-1 section 1): `u32(length) ‖ bytes`, one after the other to the end.

use wardein_ddkg::Attributes;

/// The fields; `None` where the bytes are not such a row.
pub(crate) fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        fields.push(field);
        bytes = rest;
    }
    Some(fields)
}

/// The names and values of `attributes`, which section 8 writes as two frames each.
pub(crate) fn attributes(attributes: &Attributes) -> Vec<(String, Vec<u8>)> {
    let encoded = attributes.encode();
    let fields = split(&encoded).unwrap_or_default();
    let pair = |pair: &[&[u8]]| match pair {
        [name, value] => Some((String::from_utf8_lossy(name).into_owned(), value.to_vec())),
        _ => None,
    };
    fields.chunks(2).filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_or_the_whole_is_refused() {
        let mut attributes = Attributes::new();
        attributes.insert("b".parse().unwrap(), b"2").unwrap();
        attributes.insert("a".parse().unwrap(), b"").unwrap();
        let listed = super::attributes(&attributes);
        assert_eq!(listed, [("a".to_owned(), vec![]), ("b".to_owned(), b"2".to_vec())]);
        assert_eq!(split(&[]), Some(vec![]));
        assert_eq!(split(&[0, 0, 0, 1, 7, 0, 0, 0, 0]), Some(vec![&[7][..], &[]]));
        for bad in [&[0, 0, 0][..], &[0, 0, 0, 2, 7], &[255, 255, 255, 255, 7]] {
            assert_eq!(split(bad), None);
        }
    }
}
