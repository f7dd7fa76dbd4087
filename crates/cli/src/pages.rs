//! Long lists come in pages; a command shows all of them.

use crate::Failure;

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
