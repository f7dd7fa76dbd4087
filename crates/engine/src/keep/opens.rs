//! Whether a root key is an authority's, without opening the authority.

use crate::issue::authority::Authority;
use crate::keep::restore::authority_row;
use crate::kernel::Error;
use crate::rows::AUTHORITY;
use crate::rows::seal::Keyring;
use wardein_port::{RootKey, RowKey, Store, Table};

/// Refuses root keys that do not open what is in `store`, and a store in which no authority is. Nothing is written.
pub async fn require_custody(
    store: &dyn Store,
    root_keys: impl IntoIterator<Item = RootKey>,
) -> Result<(), Error> {
    let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
    let key = RowKey { table: Table::Authority, key: AUTHORITY.to_vec() };
    let row = store.load(&[key]).await?.pop().flatten().ok_or_else(Error::not_founded)?;
    Authority::open(&root, &authority_row(&row.value)?).map(drop)
}
