//! Which keys devices may sign with.

use crate::grpc::convert::{bytes32, parse, parse_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use std::collections::BTreeSet;
use wardein_attest::EkDigest;
use wardein_crypto::Digest;
use wardein_domain::{KeyKeeper, TenantId};
use wardein_engine::{EndorsementKey, Error, Etag, KeyPolicy};
use wardein_pki::pem;
use wardein_proto::{time, v1};

pub(crate) fn policy(given: Option<v1::KeyPolicy>) -> Result<(TenantId, KeyPolicy, Option<Etag>), Error> {
    let given = given.ok_or_else(|| wrong("policy", "is missing"))?;
    let tenant = parse("policy.tenant", &given.tenant)?;
    let vendor_roots = match given.vendor_roots.as_str() {
        "" => Vec::new(),
        text => pem::decode_certificates(text).map_err(|error| wrong("policy.vendor_roots", error))?,
    };
    let keepers = given.keepers.iter().map(|keeper| KeyKeeper::asked("policy.keepers", *keeper));
    let keepers = keepers.collect::<Result<_, _>>()?;
    let (first_use, shared_tpms) = (given.first_use, given.shared_tpms);
    let etag = parse_optional("policy.etag", &given.etag)?;
    Ok((tenant, KeyPolicy { vendor_roots, first_use, keepers, shared_tpms }, etag))
}

pub(crate) fn policy_response(
    tenant: &TenantId,
    (policy, etag): &(KeyPolicy, Etag),
) -> Result<v1::KeyPolicy, Error> {
    let roots = policy.vendor_roots.iter().map(Vec::as_slice);
    Ok(v1::KeyPolicy {
        tenant: tenant.to_string(),
        vendor_roots: pem::encode_certificates(roots).map_err(Error::internal)?,
        first_use: policy.first_use,
        keepers: policy.keepers.iter().map(|keeper| keeper.wire()).collect(),
        shared_tpms: policy.shared_tpms,
        etag: etag.to_string(),
    })
}

/// The engine judges how many.
pub(crate) fn digests(given: &[Vec<u8>]) -> Result<BTreeSet<EkDigest>, Error> {
    let digest =
        |(i, bytes): (usize, &Vec<u8>)| Ok(EkDigest(Digest(bytes32(&format!("digests[{i}]"), bytes)?)));
    given.iter().enumerate().map(digest).collect()
}

pub(crate) fn endorsement_key(key: EndorsementKey) -> v1::EndorsementKey {
    v1::EndorsementKey { digest: key.digest.0.0.to_vec(), added_at: time::at(key.added_at) }
}
