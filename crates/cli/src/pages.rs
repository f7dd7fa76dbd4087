//! Long lists come in pages; a command shows all of them, or a part of what may be a million.

use crate::Failure;
use clap::Args;

/// Which part of a list that may be very long.
#[derive(Debug, Clone, Args)]
pub(crate) struct Part {
    /// How many to show at most; the command says how to go on
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Go on from where an earlier one ended
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    after: Option<Token>,
}

/// Where a page begins, as the authority names it.
#[derive(Debug, Clone)]
struct Token(Vec<u8>);

fn token(text: &str) -> Result<Token, &'static str> {
    let digits = text.as_bytes().chunks(2).map(|pair| {
        let digits = std::str::from_utf8(pair).ok().filter(|digits| digits.len() == 2)?;
        if digits.starts_with('+') { None } else { u8::from_str_radix(digits, 16).ok() }
    });
    digits.collect::<Option<Vec<u8>>>().map(Token).ok_or("is none that a list ended with")
}

/// A token as it is written.
pub(crate) fn written(token: &[u8]) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Part {
    /// The items of the part, given how one page is had by its size and token; and the token to go on from, empty at the end.
    pub(crate) async fn of<T>(
        &self,
        mut page: impl AsyncFnMut(u32, Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Failure>,
    ) -> Result<(Vec<T>, Vec<u8>), Failure> {
        let mut token = self.after.as_ref().map(|Token(bytes)| bytes.clone()).unwrap_or_default();
        let mut found = Vec::new();
        loop {
            let missing = self.limit.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
            if missing == 0 {
                return Ok((found, token));
            }
            let (items, next) = page(missing.min(PAGE_SIZE), token.clone()).await?;
            found.extend(items);
            if next.is_empty() {
                return Ok((found, next));
            }
            // Otherwise a faulty authority would be asked without end.
            if next == token {
                return Err(Failure::failed("the authority gives the same page again and again"));
            }
            token = next;
        }
    }
}

/// As many as a page may have.
pub(crate) const PAGE_SIZE: u32 = 1000;

/// All items of a list, given how one page is had by its token.
pub(crate) async fn all<T>(
    mut page: impl AsyncFnMut(Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Failure>,
) -> Result<Vec<T>, Failure> {
    let (mut all, mut token) = (Vec::new(), Vec::new());
    loop {
        let (items, next) = page(token.clone()).await?;
        all.extend(items);
        if next.is_empty() {
            return Ok(all);
        }
        // Otherwise a faulty authority would be asked without end.
        if next == token {
            return Err(Failure::failed("the authority gives the same page again and again"));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let bytes = [0, 1, 0xab, 0xff];
        assert_eq!(token(&written(&bytes)).unwrap().0, bytes);
        for bad in ["0", "0g", "abc", "+1", "ä"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_part_ends_at_its_limit_or_with_the_list_and_names_where_to_go_on() {
        let numbers = async |size: u32, token: Vec<u8>| {
            let from = token.first().copied().unwrap_or(0);
            let until = from.saturating_add(u8::try_from(size.min(3)).unwrap()).min(10);
            Ok(((from..until).collect::<Vec<_>>(), if until == 10 { vec![] } else { vec![until] }))
        };
        for (limit, after, expected, next) in [
            (4, None, (0..4).collect::<Vec<u8>>(), vec![4]),
            (1000, None, (0..10).collect(), vec![]),
            (2, Some(9), vec![9], vec![]),
        ] {
            let part = Part { limit, after: after.map(|after| Token(vec![after])) };
            let found = crate::block_on(part.of(numbers)).unwrap();
            assert_eq!(found, (expected, next));
        }
        let stuck = Part { limit: 9, after: None };
        let same = crate::block_on(stuck.of(async |_, _| Ok((Vec::<u8>::new(), vec![7]))));
        assert!(same.is_err());
    }
}
