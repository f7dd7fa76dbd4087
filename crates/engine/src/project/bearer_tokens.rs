//! The bearer tokens of platforms, by their ids.

use crate::access::bearer_tokens::BearerTokenId;
use crate::kernel::Error;
use crate::rows::{self, BearerTokenRow, BearerTokensRow};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use wardein_crypto::Tag;
use wardein_domain::{Serial, UnixSeconds};
use wardein_port::Table;

/// A bearer token on record.
#[derive(Clone)]
pub(crate) struct KnownBearerToken {
    /// The serial of the identity that it is bound to.
    pub(crate) serial: Serial,
    pub(crate) tag: Tag,
    pub(crate) expires: UnixSeconds,
    pub(crate) restored_at: UnixSeconds,
}

#[derive(Default)]
pub(super) struct BearerTokens(RwLock<State>);

#[derive(Default)]
struct State {
    by_id: HashMap<BearerTokenId, KnownBearerToken>,
    /// The version of each identity's row, and the tokens that it has.
    rows: HashMap<Serial, (u64, Vec<BearerTokenId>)>,
}

impl BearerTokens {
    pub(super) fn get(&self, id: &BearerTokenId) -> Option<KnownBearerToken> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    /// Applies the row of an identity, unless a later version of it is known.
    pub(super) fn put(&self, key: &[u8], version: u64, value: &[u8]) -> Result<(), Error> {
        let table = Table::BearerTokens;
        let serial =
            rows::parse_tenant_operator_key(key).ok_or_else(|| rows::damaged(table, "has a damaged key"))?;
        let BearerTokensRow { tokens } = rows::decode(table, value)?;
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let State { by_id, rows } = &mut *state;
        let (known, ids) = rows.entry(serial).or_default();
        if *known >= version {
            return Ok(());
        }
        for id in ids.drain(..) {
            by_id.remove(&id);
        }
        *known = version;
        for BearerTokenRow { id, tag, expires, restored_at, .. } in tokens {
            ids.push(id);
            by_id.insert(id, KnownBearerToken { serial, tag: Tag(tag), expires, restored_at });
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let state = self.0.read().unwrap();
        let line = |(serial, (version, ids)): (&Serial, &(u64, Vec<BearerTokenId>))| {
            let ends: Vec<_> = ids.iter().map(|id| (id, state.by_id[id].expires)).collect();
            format!("bearer tokens of {serial} at {version}: {ends:?}")
        };
        state.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::IssuerRow;

    fn put(tokens: &BearerTokens, version: u64, ids: &[u8]) {
        let serial = Serial::from_random([7; 16]);
        let by = IssuerRow { serial, name: "admin/admin".into() };
        let token = |id: &u8| BearerTokenRow {
            id: [*id; 8],
            tag: [9; 32],
            made: UnixSeconds::new(1),
            expires: UnixSeconds::new(9),
            restored_at: UnixSeconds::new(0),
            by: by.clone(),
        };
        let row = BearerTokensRow { tokens: ids.iter().map(token).collect() };
        let key = [b"t\0", &serial.as_bytes()[..]].concat();
        tokens.put(&key, version, &rows::encode(&row).unwrap()).unwrap();
    }

    /// A page that was read before a token was revoked comes after.
    #[test]
    fn an_older_row_brings_back_no_token_that_was_revoked() {
        let tokens = BearerTokens::default();
        put(&tokens, 1, &[1, 2]);
        put(&tokens, 3, &[2]);
        put(&tokens, 2, &[1, 2]);
        assert!(tokens.get(&[1; 8]).is_none());
        assert!(tokens.get(&[2; 8]).is_some());
        put(&tokens, 4, &[]);
        assert!(tokens.get(&[2; 8]).is_none());
    }
}
