//! Long lists come in pages; a command shows all of them, or a part of what may be a million.

use clap::Args;
use wardein_client::{Refusal, pages};
use wardein_crypto::hex;

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
    hex::decode_any_case(text).map(Token).ok_or("is not a continuation token printed by a list command")
}

impl Part {
    /// The items of the part, given how one page is had by its size and token; and the token to go on from, empty at the end.
    pub(crate) async fn of<T>(
        &self,
        page: impl AsyncFnMut(u32, Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Refusal>,
    ) -> Result<(Vec<T>, Vec<u8>), Refusal> {
        let after = self.after.as_ref().map(|Token(bytes)| bytes.clone()).unwrap_or_default();
        pages(after, self.limit as usize, page).await
    }
}

/// All items of a list, given how one page is had by its size and token.
pub(crate) async fn all<T>(
    page: impl AsyncFnMut(u32, Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Refusal>,
) -> Result<Vec<T>, Refusal> {
    Ok(pages(Vec::new(), usize::MAX, page).await?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let bytes = [0, 1, 0xab, 0xff];
        assert_eq!(token(&hex::encode(&bytes)).unwrap().0, bytes);
        for bad in ["0", "0g", "abc", "+1", "ä"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }
}
