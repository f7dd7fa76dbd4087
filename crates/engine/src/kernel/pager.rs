//! Pages of lists.

use crate::kernel::{Engine, Error};
use wardein_port::{Row, Store, Table};

/// A part of a long list.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many items: 1 to [`Page::MAX`].
    pub size: usize,
    /// The token of the page before.
    pub after: Option<Vec<u8>>,
}

impl Page {
    /// The most items of a page.
    pub const MAX: usize = 1000;
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next: Option<Vec<u8>>,
}

/// How many rows are looked at for one page.
pub(crate) const SCANNED: usize = 20_000;

/// Bytes of rows behind the items of a page, after which it ends: clients of gRPC take messages of 4 MiB by default, and an
/// item is not much longer than its row.
const BYTES: usize = 2 << 20;

/// A page in the making: rows of a table behind one another, and the items that came of them. A page may hold fewer items than
/// were asked for, or none, and still name a next one: so a search for rare rows ends.
pub(crate) struct Pager<'a, T> {
    store: &'a dyn Store,
    table: Table,
    prefix: &'a [u8],
    limit: usize,
    most: usize,
    scanned: usize,
    rows: std::vec::IntoIter<(Vec<u8>, Row)>,
    is_last: bool,
    /// Where the next page begins.
    after: Option<Vec<u8>>,
    /// The row that is looked at.
    at: Option<Vec<u8>>,
    /// Its bytes, and those of the rows that items came of.
    row_bytes: usize,
    bytes: usize,
    items: Vec<T>,
    is_full: bool,
}

impl Page {
    /// The size within its bounds.
    pub(crate) fn limit(&self) -> Result<usize, Error> {
        match self.size {
            size @ 1..=Self::MAX => Ok(size),
            size => Err(Error::wrong("page_size", format_args!("is {size}; it takes 1 to {}", Self::MAX))),
        }
    }
}

impl Engine {
    /// A page of the rows behind `prefix`, looking at no more than `most` of them.
    pub(crate) fn pager<'a, T>(
        &'a self,
        table: Table,
        prefix: &'a [u8],
        page: &Page,
        most: usize,
    ) -> Result<Pager<'a, T>, Error> {
        let limit = page.limit()?;
        if page.after.as_ref().is_some_and(|after| !after.starts_with(prefix)) {
            return Err(Error::wrong("page_token", "is not from this list"));
        }
        Ok(Pager {
            store: &*self.store,
            table,
            prefix,
            limit,
            most,
            scanned: 0,
            rows: Vec::new().into_iter(),
            is_last: false,
            after: page.after.clone(),
            at: None,
            row_bytes: 0,
            bytes: 0,
            items: Vec::new(),
            is_full: false,
        })
    }

    /// A page of the results of `parse` for each row, without those that it skips.
    pub(crate) async fn page<T>(
        &self,
        table: Table,
        prefix: &[u8],
        page: &Page,
        mut parse: impl FnMut(&[u8], &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<Paged<T>, Error> {
        let mut pager = self.pager(table, prefix, page, SCANNED)?;
        while let Some((key, row)) = pager.next().await? {
            pager.keep(parse(&key, &row.value)?);
        }
        Ok(pager.done())
    }
}

impl<T> Pager<'_, T> {
    /// The next row to look at; `None` when the page is complete.
    pub(crate) async fn next(&mut self) -> Result<Option<(Vec<u8>, Row)>, Error> {
        if let Some(at) = self.at.take() {
            self.after = Some(at);
        }
        loop {
            if let Some((key, row)) = self.rows.next() {
                if self.items.len() == self.limit || self.scanned == self.most || self.bytes >= BYTES {
                    self.is_full = true;
                    return Ok(None);
                }
                self.scanned += 1;
                self.row_bytes = key.len() + row.value.len();
                self.at = Some(key.clone());
                return Ok(Some((key, row)));
            }
            if self.is_last {
                return Ok(None);
            }
            let rows = self.store.scan(self.table, self.prefix, self.after.as_deref(), Page::MAX).await?;
            self.is_last = rows.len() < Page::MAX;
            self.rows = rows.into_iter();
        }
    }

    /// Keeps an item of the row that was looked at.
    pub(crate) fn keep(&mut self, item: Option<T>) {
        if item.is_some() {
            self.bytes += self.row_bytes;
        }
        self.items.extend(item);
    }

    /// The page.
    pub(crate) fn done(self) -> Paged<T> {
        Paged { items: self.items, next: self.after.filter(|_| self.is_full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Ports;
    use std::sync::Arc;
    use wardein_crypto::Secret;
    use wardein_port::{Change, RootKey};
    use wardein_testkit::{MemoryStore, TestClock, commit};

    /// A device may have 64 attributes with names of 64 characters: a thousand such are 4.4 MB.
    #[tokio::test]
    async fn a_page_ends_before_a_default_client_refuses_it_and_none_is_left_out() {
        let (store, clock) = (MemoryStore::new(), TestClock::at(1_790_000_000));
        let ports = || Ports::new(Arc::new(store.clone()), clock.clone());
        let secret = || Secret::copied_from(&[7; 32]);
        crate::found(&ports(), secret(), "wardein.test".parse().unwrap()).await.unwrap();
        let engine = Engine::open(ports(), [RootKey { version: 1, secret: secret() }]).await.unwrap();
        let mut change = Change::default();
        for number in 0..1_000 {
            change.insert(Table::Spent, format!("klinik/{number:04}").into_bytes(), vec![7; 4_400]);
        }
        commit(&store, change).await.unwrap();
        let (mut after, mut all, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = Page { size: Page::MAX, after };
            let parse = |key: &[u8], value: &[u8]| Ok(Some((key.to_vec(), value.len())));
            let Paged { items, next } = engine.page(Table::Spent, b"klinik/", &page, parse).await.unwrap();
            assert!(items.iter().map(|(_, length)| length).sum::<usize>() < 3 << 20);
            all.extend(items.into_iter().map(|(key, _)| key));
            pages += 1;
            after = next;
            if after.is_none() {
                break;
            }
        }
        let expected = (0..1_000).map(|number| format!("klinik/{number:04}").into_bytes());
        assert!(all.iter().cloned().eq(expected), "each once, and in order");
        assert_eq!((all.len(), pages), (1_000, 3));
    }
}
