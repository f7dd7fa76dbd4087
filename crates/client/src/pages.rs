//! Long lists, which come in pages.

use crate::refusal::Refusal;

/// As many items as a page may have.
pub const PAGE_SIZE: u32 = 1000;

/// At most `limit` items of a list, from the page that `after` names (empty: from the beginning), and the token to continue from
/// (empty: that was the end). `page` asks for one page of at most so many items by its token, and gives its items and the next
/// token.
pub async fn pages<T>(
    after: Vec<u8>,
    limit: usize,
    mut page: impl AsyncFnMut(u32, Vec<u8>) -> Result<(Vec<T>, Vec<u8>), Refusal>,
) -> Result<(Vec<T>, Vec<u8>), Refusal> {
    let (mut found, mut token) = (Vec::new(), after);
    loop {
        let missing = u32::try_from(limit.saturating_sub(found.len())).unwrap_or(u32::MAX);
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
            return Err(Refusal::faulty("the authority returns the same page again and again"));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_ends_at_its_limit_or_with_the_list_and_names_where_to_go_on() {
        let numbers = async |size: u32, token: Vec<u8>| {
            let from = token.first().copied().unwrap_or(0);
            let until = from.saturating_add(u8::try_from(size.min(3)).unwrap()).min(10);
            Ok(((from..until).collect::<Vec<_>>(), if until == 10 { vec![] } else { vec![until] }))
        };
        for (limit, after, expected, next) in [
            (4, vec![], (0..4).collect::<Vec<u8>>(), vec![4]),
            (1000, vec![], (0..10).collect(), vec![]),
            (usize::MAX, vec![], (0..10).collect(), vec![]),
            (2, vec![9], vec![9], vec![]),
        ] {
            assert_eq!(pages(after, limit, numbers).await.unwrap(), (expected, next));
        }
        let same = pages(Vec::new(), 9, async |_, _| Ok((Vec::<u8>::new(), vec![7]))).await;
        assert!(same.is_err());
    }
}
