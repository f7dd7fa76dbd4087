//! The range of keys that a scan asks for.

/// From `low` on, up to but without `high`, if there is one, in byte order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: Vec<u8>,
    pub(crate) high: Option<Vec<u8>>,
}

impl Range {
    /// The keys that start with `prefix` and come after `after`.
    pub(crate) fn new(prefix: &[u8], after: Option<&[u8]>) -> Self {
        let low = match after {
            // The least key behind a key is that key and a zero byte.
            Some(after) if after >= prefix => [after, &[0]].concat(),
            _ => prefix.to_vec(),
        };
        // The least key behind all that start with a prefix: its last byte that can rise, risen. None where all are 0xff.
        let high = prefix.iter().rposition(|byte| *byte != 0xff).map(|at| {
            let mut high = prefix[..=at].to_vec();
            high[at] += 1;
            high
        });
        Self { low, high }
    }

    /// Whether no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.high.as_ref().is_some_and(|high| self.low >= *high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_behind_the_last_key_with_the_prefix() {
        let range = |prefix: &[u8], after| Range::new(prefix, after);
        assert_eq!(range(b"", None), Range { low: vec![], high: None });
        assert_eq!(range(b"ab", None), Range { low: b"ab".to_vec(), high: Some(b"ac".to_vec()) });
        assert_eq!(range(b"a\xff", None), Range { low: b"a\xff".to_vec(), high: Some(b"b".to_vec()) });
        assert_eq!(range(&[0xff; 2], None), Range { low: vec![0xff; 2], high: None });
        assert_eq!(range(b"b", Some(b"a")).low, b"b");
        assert_eq!(range(b"b", Some(b"bb")).low, b"bb\0");
        assert!(range(b"b", Some(b"c")).is_empty());
        assert!(!range(b"b", Some(b"b\xff\xff")).is_empty());
    }
}
