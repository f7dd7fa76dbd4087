//! An operator renews its own certificate, so that nobody has to and nothing stops meanwhile: both certificates are good until the
//! former ends.

use super::answers::{Answer, OrderKey, Ordered};
use super::operators::{MIN_VALIDITY, Operator, Terms};
use crate::issue::serial::new_serial;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, Link, OperatorRow};
use wardein_domain::{ErrorCode, Event, Fields, Principal, Role, Serial};
use wardein_pki::{CLOCK_SKEW, Csr, Validity};
use wardein_port::{Change, Table};

impl Engine {
    /// Certifies another key of the caller, under the same role, tenant and name. `validity` is in seconds, at most that of the
    /// caller's certificate; 0 for as much. What a tenant's administrator issued ends with that administrator all the same. What is
    /// left of a station's quota goes over to the new certificate.
    ///
    /// The new certificate counts as issued by the former: revoking that one with what it issued ends both. The same key again, for
    /// the same time, gets the same certificate for a day.
    pub async fn renew_operator(
        &self,
        caller: &Caller,
        csr: &[u8],
        validity: u64,
    ) -> Result<(String, Operator), Error> {
        let csr = Csr::parse(csr).map_err(|error| Error::new(error.code(), error))?;
        self.may_certify()?;
        let Principal { role, tenant, name, serial: former } = &caller.principal;
        let name_key = rows::operator_name_key(*role, tenant.as_ref(), name);
        let ordered = OrderKey::new(caller, Ordered::Renewed, &csr, (validity, 0), &name_key);
        let answer = self
            .transact_by(caller, |tx| {
                // One that was revoked is told so, and not that it has expired since.
                self.operator_version(tx, &caller.principal)?;
                let own: Option<(u64, OperatorRow)> = tx.row(Table::Operator, former.as_bytes())?;
                let (version, mut own) = own.ok_or_else(Error::not_on_record)?;
                if !own.is_valid(self.time()) {
                    let message = "the certificate has expired; have an administrator issue another identity";
                    return Err(Error::new(ErrorCode::OperatorExpired, message).into());
                }
                if let Some(answer) = self.answered(tx, caller, &ordered)? {
                    return Ok(Decision::unchanged(answer));
                }
                tx.reserve_operator(&self.memory, tenant, self.time())?;
                self.memory.may_renew(&caller.principal, self.time())?;
                let longest = own.not_after.get().saturating_sub(own.not_before.get()).saturating_sub(CLOCK_SKEW);
                let asked = if validity == 0 { longest } else { validity };
                if !(MIN_VALIDITY..=longest.max(MIN_VALIDITY)).contains(&asked) {
                    let message = format_args!(
                        "is {asked}; it takes {MIN_VALIDITY} to {longest} seconds, as long as the present certificate, or 0 for that"
                    );
                    return Err(Error::wrong("validity", message).into());
                }
                let longest = self.infrastructure_validity(asked)?;
                let end = longest.not_after().min(self.issuers_end(tx, &own)?);
                let validity = Validity::new(longest.not_before(), end).map_err(Error::internal)?;
                let serial = new_serial(tx.draw())?;
                let principal = Principal { serial, ..caller.principal.clone() };
                let mut change = Change::default();
                let mut quota = 0;
                if *role == Role::Station {
                    let taken = self.memory.taken_by(former).min(own.quota);
                    (quota, own.quota) = (own.quota - taken, taken);
                    change.update(Table::Operator, former.as_bytes().to_vec(), version, rows::encode(&own)?);
                }
                let holder = tx.get(Table::OperatorName, &name_key)?.ok_or_else(Error::not_on_record)?;
                let link = Link::encode(serial.as_bytes());
                change.update(Table::OperatorName, name_key.clone(), holder.version, link);
                let (event, fields) = (Event::OperatorRenewed, Fields::default());
                let terms = Terms { csr: &csr, principal, validity, quota, event, fields };
                let (certified, operator) = self.put_operator(caller, &terms, &mut change)?;
                self.keep_answer(tx, &ordered, serial, &certified, &mut change)?;
                Ok(Decision::new(change, Answer::Now(certified, operator)))
            })
            .await?;
        self.hand_over(answer, &ordered).await
    }

    /// Until when an operator may be renewed: what an administrator of a tenant issued ends with it.
    fn issuers_end(&self, tx: &Tx<'_>, operator: &OperatorRow) -> Result<u64, Stop> {
        let mut row = operator.clone();
        // An operator that renewed itself was issued by who issued the first of its certificates.
        for _ in 0..MAX_RENEWALS {
            let Some(issuer) = row.issued_by.clone() else { return Ok(u64::MAX) };
            let of_issuer: Option<(u64, OperatorRow)> = tx.row(Table::Operator, issuer.serial.as_bytes())?;
            let Some((_, of_issuer)) = of_issuer else { return Err(issuer_ended(&issuer.name).into()) };
            let is_itself =
                (of_issuer.role, &of_issuer.tenant, &of_issuer.name) == (row.role, &row.tenant, &row.name);
            if is_itself {
                row = of_issuer;
                continue;
            }
            if of_issuer.role == Role::Admin {
                return Ok(u64::MAX);
            }
            // It may have renewed itself since.
            let key = rows::operator_name_key(of_issuer.role, of_issuer.tenant.as_ref(), &of_issuer.name);
            let Some(link) = tx.get(Table::OperatorName, &key)? else {
                return Err(issuer_ended(&issuer.name).into());
            };
            let newest = Serial::from_bytes(Link::decode(Table::OperatorName, &link.value)?)
                .map_err(Error::internal)?;
            let newest: Option<(u64, OperatorRow)> = tx.row(Table::Operator, newest.as_bytes())?;
            let valid = [newest.map(|(_, row)| row), Some(of_issuer)].into_iter().flatten();
            let end = valid.filter(|row| row.is_valid(self.time())).map(|row| row.not_after.get()).max();
            return Ok(end.ok_or_else(|| issuer_ended(&issuer.name))?);
        }
        let message =
            "the operator has renewed itself too often; have an administrator issue another identity";
        Err(Error::new(ErrorCode::RoleInsufficient, message).into())
    }
}

fn issuer_ended(issuer: &str) -> Error {
    let message = format_args!(
        "{issuer}, who issued this operator, is revoked or expired; have an administrator issue another identity"
    );
    Error::new(ErrorCode::RoleInsufficient, message)
}

/// So many renewals in a row are followed to the first certificate: 30 years of one every month.
const MAX_RENEWALS: usize = 360;
