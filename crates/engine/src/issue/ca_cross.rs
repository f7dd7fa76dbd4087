//! An issuing CA that another PKI, such as a company's, certifies as well: verifiers that trust that PKI's root verify devices, too. The CA
//! goes on under the authority's root, by which devices and the authority itself go.

use crate::issue::apart::apart;
use crate::issue::ca_changes::By;
use crate::issue::cas::Ca;
use crate::issue::prepared::refused;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error};
use crate::project::KnownCa;
use crate::rows::{self, IssuingCaRow};
use wardein_domain::{CaId, ErrorCode, Event, FieldName};
use wardein_pki::CrossChain;
use wardein_port::{Change, Table};

impl Engine {
    /// A request (PKCS#10, DER) by which another PKI certifies a CA as well.
    pub async fn request_ca_certificate(&self, caller: &Caller, id: CaId) -> Result<Vec<u8>, Error> {
        let known = self.known_ca(&id)?;
        may_be_certified(&known)?;
        let key = known.key()?.clone();
        let request = apart("wardein-csr", move || key.cross_request()).await?.map_err(refused)?;
        self.transact_by(caller, |_| {
            let mut change = Change::default();
            change.record(&self.ca_entry(By::Operator(caller), Event::CaRequested, &known))?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(request)
    }

    /// Takes in the chain that came back, DER: the CA's certificate by the other PKI first, each signed by the next, that PKI's root last.
    /// Devices are given it, but for the root, before the CA's own certificate, as long as all of it is valid. It takes the place of one
    /// that was imported before; the same again changes nothing.
    pub async fn import_ca_chain(&self, caller: &Caller, id: CaId, chain: &[Vec<u8>]) -> Result<Ca, Error> {
        self.transact_by(caller, |tx| {
            let known = self.known_ca(&id)?;
            may_be_certified(&known)?;
            let ders: Vec<_> = chain.iter().map(Vec::as_slice).collect();
            let chain = CrossChain::verify(&known.certificate, &ders, self.now())
                .map_err(|error| Error::new(ErrorCode::CaChain, error))?;
            let (version, mut row): (u64, IssuingCaRow) = tx
                .row(Table::IssuingCa, id.as_bytes())?
                .ok_or_else(|| rows::damaged(Table::IssuingCa, "is gone"))?;
            if row.cross == chain.certificates() {
                return Ok(Decision::unchanged(()));
            }
            row.cross = chain.certificates().to_vec();
            let mut change = Change::default();
            self.rest_on_authority(tx, &mut change)?;
            change.update(Table::IssuingCa, id.as_bytes().to_vec(), version, rows::encode(&row)?);
            let entry = self.ca_entry(By::Operator(caller), Event::CaImported, &known);
            change.record(&entry.with(FieldName::NotAfter, chain.validity().not_after()))?;
            Ok(Decision::new(change, ()))
        })
        .await?;
        Ok(self.known_ca(&id)?.shown())
    }
}

/// Refuses it for a CA that is not trusted any more.
fn may_be_certified(ca: &KnownCa) -> Result<(), Error> {
    if ca.state.is_published() {
        return Ok(());
    }
    let message = format_args!("CA {} is {}: it certifies nothing any more", ca.id, ca.state);
    Err(Error::new(ErrorCode::CaState, message).about("wardein.v1.Ca", ca.id))
}
