//! Whose certificate a fingerprint is of: the audit log has that of each caller beside its name.

use crate::connection::Session;
use crate::{Failure, time};
use wardein_client::{PAGE_SIZE, Refusal, time as wire, v1};
use wardein_domain::Fingerprint;

/// The name under which the holder of a certificate called, from this Unix second on. A certificate that was not used since then
/// is in no entry.
pub(super) async fn holder(
    session: &Session,
    fingerprint: Fingerprint,
    since: u64,
) -> Result<String, Failure> {
    let operator = session.operator();
    let tenant = session.tenant.clone().unwrap_or_default();
    let found = look(fingerprint, async |first| {
        let (tenant, since) = (tenant.clone(), wire::at(since));
        let request =
            v1::ListEntriesRequest { tenant, since, first, page_size: PAGE_SIZE, ..Default::default() };
        operator.list_entries(request).await
    });
    found.await?.ok_or_else(|| {
        let since = time::at(since);
        Failure::Failed(format!(
            "no entry of the audit log since {since} is of a caller with certificate {fingerprint}; look further back with \
             --since, or name the operator (wardein operator list)"
        ))
    })
}

/// The actor of the first entry with that certificate, among pages that begin at a number.
async fn look(
    fingerprint: Fingerprint,
    mut page: impl AsyncFnMut(u64) -> Result<v1::ListEntriesResponse, Refusal>,
) -> Result<Option<String>, Failure> {
    let mut first = 0;
    loop {
        let v1::ListEntriesResponse { entries, next } = page(first).await?;
        let is_of = |entry: &v1::AuditEntry| entry.certificate_sha256 == fingerprint.as_bytes();
        if let Some(entry) = entries.into_iter().find(is_of) {
            return Ok(Some(entry.actor));
        }
        match next {
            0 => return Ok(None),
            // Otherwise a faulty authority would be asked without end.
            next if next <= first => {
                return Err(Failure::failed("the authority gives the same entries again and again"));
            }
            next => first = next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(actor: &str, certificate: u8) -> v1::AuditEntry {
        let certificate_sha256 = if certificate == 0 { Vec::new() } else { vec![certificate; 32] };
        v1::AuditEntry { actor: actor.to_owned(), certificate_sha256, ..Default::default() }
    }

    #[tokio::test]
    async fn the_holder_is_the_actor_of_an_entry_with_that_certificate_and_no_other() {
        let log =
            [entry("system", 0), entry("admin/anna", 1), entry("station/t/a", 2), entry("station/t/b", 3)];
        let page = async |first: u64| {
            let at = usize::try_from(first).unwrap();
            let next = if at + 1 < log.len() { first + 1 } else { 0 };
            Ok(v1::ListEntriesResponse { entries: vec![log[at].clone()], next })
        };
        let of = async |byte: u8| look(Fingerprint::of_digest([byte; 32]), page).await.unwrap();
        assert_eq!(of(2).await.as_deref(), Some("station/t/a"));
        assert_eq!(of(3).await.as_deref(), Some("station/t/b"));
        assert_eq!(of(9).await, None);
    }

    #[tokio::test]
    async fn pages_that_do_not_go_on_end_the_search() {
        let same = async |_| Ok(v1::ListEntriesResponse { next: 1, ..Default::default() });
        assert!(look(Fingerprint::of_digest([1; 32]), same).await.is_err());
    }
}
