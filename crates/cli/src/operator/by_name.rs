//! `wardein operator revoke`: by the operator's name, by the serial of a certificate, or by its fingerprint.

use super::by_fingerprint::holder;
use super::list::{Listed, operators};
use crate::connection::{ConnectArgs, Session};
use crate::{Confirm, Failure, Output, time};
use clap::Args;
use wardein_client::v1;
use wardein_domain::{Fingerprint, NameError, OperatorName, Role, TenantId};

#[derive(Debug, Args)]
pub(crate) struct RevokeArgs {
    /// Its name, ROLE/TENANT/NAME or ROLE/NAME; the serial of its certificate, as `operator list` shows both; or the fingerprint
    /// of a certificate with which it called: SHA-256 in hex, with or without colons
    operator: String,
    /// How far back the audit log is searched for a fingerprint
    #[arg(long, value_name = "TIME", value_parser = time::past, default_value = "30d")]
    since: u64,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Also revoke what it issued, what that issued, and so on, and the bearer tokens that they made
    #[arg(long)]
    with_issued: bool,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// An operator, whichever certificate it has.
#[derive(Debug, PartialEq, Eq)]
struct FullName {
    role: Role,
    tenant: Option<TenantId>,
    name: OperatorName,
}

pub(super) async fn revoke(args: RevokeArgs, out: Output) -> Result<(), Failure> {
    let RevokeArgs { operator, since, reason, with_issued, confirm, connect } = args;
    // Neither of the others has as many digits.
    if let Ok(fingerprint) = operator.parse::<Fingerprint>() {
        let session = connect.open().await?;
        let actor = holder(&session, fingerprint, since).await?;
        let name = FullName::parse(&actor).map_err(|_| {
            Failure::Failed(format!("the certificate is of {actor}, which is not an operator"))
        })?;
        return revoke_named(&session, &name, &reason, with_issued, confirm, out).await;
    }
    // A serial has no such character.
    if operator.contains('/') {
        let name = FullName::parse(&operator).map_err(|why| Failure::Usage(format!("{operator}: {why}")))?;
        let session = connect.open().await?;
        return revoke_named(&session, &name, &reason, with_issued, confirm, out).await;
    }
    let also = also(with_issued);
    let serial = operator;
    confirm.ask(&format!("revoke the operator with serial {serial}{also}"))?;
    let session = connect.open().await?;
    let count = revoke_serial(&session, &serial, &reason, with_issued).await?;
    let words = match (with_issued, count) {
        (false, _) => format!("revoked operator {serial}"),
        (true, count) => format!("revoked {count} operators: {serial} and what it issued"),
    };
    out.say(&words, &serde_json::json!({ "revoked": serial, "count": count }))
}

/// Revokes all certificates that are valid under a name, after a question that has them.
async fn revoke_named(
    session: &Session,
    name: &FullName,
    reason: &str,
    with_issued: bool,
    confirm: Confirm,
    out: Output,
) -> Result<(), Failure> {
    let serials = serials(session, name).await?;
    let count = serials.len();
    let whose = if count == 1 { "certificate" } else { "certificates" };
    let also = also(with_issued);
    confirm.ask(&format!("revoke {name} ({count} {whose}: {}){also}", serials.join(", ")))?;
    let revoke = async |serial: String| revoke_serial(session, &serial, reason, with_issued).await;
    let valid = async || {
        let good = good(session, name).await?;
        Ok::<_, Failure>(good.into_iter().map(|one| one.of.serial).collect::<Vec<_>>())
    };
    let (all, count) = revoke_all(name, serials, revoke, valid).await?;
    let others =
        if with_issued { format!("; {count} certificates with what it issued") } else { String::new() };
    let words = format!("revoked {name}: {}{others}", all.join(", "));
    let document = serde_json::json!({ "revoked": all, "operator": name.to_string(), "count": count });
    out.say(&words, &document)
}

fn also(with_issued: bool) -> &'static str {
    if with_issued { " and everything that it issued" } else { "" }
}

/// Revokes all certificates of an operator that are valid, `serials` first. One that it got in the meantime is revoked as well: it
/// was renewed before the former was revoked. Gives their serials, and how many certificates were revoked in all.
async fn revoke_all(
    name: &FullName,
    mut serials: Vec<String>,
    mut revoke: impl AsyncFnMut(String) -> Result<u64, Failure>,
    mut valid: impl AsyncFnMut() -> Result<Vec<String>, Failure>,
) -> Result<(Vec<String>, u64), Failure> {
    let (mut all, mut count): (Vec<String>, u64) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        for serial in serials {
            count += revoke(serial.clone()).await.map_err(|failure| match all.len() {
                0 => failure,
                _ => failure.and(&format!("revoked before that: {}", all.join(", "))),
            })?;
            all.push(serial);
        }
        serials = valid().await?;
        if serials.is_empty() {
            return Ok((all, count));
        }
    }
    Err(Failure::Failed(format!("{name} has valid certificates again; the same command revokes them, too")))
}

async fn revoke_serial(
    session: &Session,
    serial: &str,
    reason: &str,
    with_issued: bool,
) -> Result<u64, Failure> {
    let (serial, reason) = (serial.to_owned(), reason.to_owned());
    let request = v1::RevokeOperatorRequest { serial, reason, with_issued };
    Ok(session.operator().revoke_operator(request).await?.revoked)
}

/// The serials of the certificates that are valid under a name, of which there is one at least.
async fn serials(session: &Session, name: &FullName) -> Result<Vec<String>, Failure> {
    let all = under(session, name).await?;
    let good: Vec<_> = all
        .iter()
        .filter(|operator| operator.state.is_good())
        .map(|operator| operator.of.serial.clone())
        .collect();
    if good.is_empty() { Err(Failure::Failed(none_is_good(name, &all))) } else { Ok(good) }
}

async fn good(session: &Session, name: &FullName) -> Result<Vec<Listed>, Failure> {
    let mut operators = under(session, name).await?;
    operators.retain(|operator| operator.state.is_good());
    Ok(operators)
}

async fn under(session: &Session, name: &FullName) -> Result<Vec<Listed>, Failure> {
    let tenant = name.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
    let (mut operators, _) = operators(session, tenant).await?;
    operators.retain(|operator| name.is_of(operator));
    Ok(operators)
}

fn none_is_good(name: &FullName, all: &[Listed]) -> String {
    match all.iter().max_by_key(|operator| (operator.of.not_after, operator.of.revoked_at)) {
        None => format!("there is no operator {name}; wardein operator list shows who there is"),
        Some(last) if last.of.revoked_at > 0 => {
            format!("{name} has no valid certificate: the last was revoked {}", time::at(last.of.revoked_at))
        }
        Some(last) => {
            format!("{name} has no valid certificate: the last ended {}", time::at(last.of.not_after))
        }
    }
}

impl FullName {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('/').collect();
        let (role, tenant, name) = match parts[..] {
            [role, name] => (role, None, name),
            [role, tenant, name] => (role, Some(tenant), name),
            _ => return Err("write ROLE/TENANT/NAME or ROLE/NAME".to_owned()),
        };
        let plain = |error: NameError| error.to_string();
        let role: Role = role.parse().map_err(plain)?;
        if !role.fits_tenant(tenant.is_some()) {
            let form = if tenant.is_some() { "NAME" } else { "TENANT/NAME" };
            return Err(format!("write it as {role}/{form}"));
        }
        let tenant = tenant.map(str::parse::<TenantId>).transpose().map_err(plain)?;
        Ok(Self { role, tenant, name: name.parse::<OperatorName>().map_err(plain)? })
    }

    fn is_of(&self, operator: &Listed) -> bool {
        operator.of.role == self.role.as_str()
            && operator.of.name == self.name.as_str()
            && operator.of.tenant == self.tenant.as_ref().map(TenantId::as_str).unwrap_or_default()
    }
}

impl std::fmt::Display for FullName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}/{tenant}/{}", self.role, self.name),
            None => write!(f, "{}/{}", self.role, self.name),
        }
    }
}

/// Between two, an operator could have renewed itself once more; after its last certificate is revoked it cannot.
const ROUNDS: usize = 5;

#[cfg(test)]
mod tests {
    use super::super::list::tests::station;
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_name_is_that_of_one_operator_and_one_that_cannot_be_is_refused() {
        for good in
            ["station/klinik-nord/line-1", "admin/anna", "auditor/eva", "auditor/klinik/eva", "backup/nas"]
        {
            assert_eq!(FullName::parse(good).unwrap().to_string(), good);
        }
        for (bad, word) in [
            ("station/line-1", "station/TENANT/NAME"),
            ("admin/klinik/anna", "admin/NAME"),
            ("king/klinik/anna", "role is not one of"),
            ("station/klinik/a/b", "ROLE/TENANT/NAME"),
            ("station/Klinik/a", "tenant"),
            ("station/klinik/", "operator name"),
            ("/", "role is not one of"),
        ] {
            let why = FullName::parse(bad).unwrap_err();
            assert!(why.contains(word), "{bad}: {why}");
        }
    }

    #[test]
    fn an_operator_is_its_role_tenant_and_name_together() {
        let line = station("line-1", 2_000_000, 0);
        let is_of = |name: &str| FullName::parse(name).unwrap().is_of(&line);
        assert!(is_of("station/t/line-1"));
        for other in ["station/other/line-1", "platform/t/line-1", "station/t/line-10", "auditor/line-1"] {
            assert!(!is_of(other), "{other}");
        }
    }

    #[test]
    fn where_no_certificate_is_valid_the_last_one_says_why() {
        let name = FullName::parse("station/t/a").unwrap();
        assert!(none_is_good(&name, &[]).starts_with("there is no operator station/t/a"));
        let (ended, revoked) = (station("a", 7, 0), station("a", 9, 8));
        assert!(none_is_good(&name, std::slice::from_ref(&ended)).ends_with("ended 1970-01-01T00:00:07Z"));
        assert!(none_is_good(&name, &[ended, revoked]).ends_with("revoked 1970-01-01T00:00:08Z"));
    }

    #[tokio::test]
    async fn both_certificates_of_a_name_are_revoked_and_one_that_was_renewed_meanwhile() {
        let name = FullName::parse("station/t/a").unwrap();
        let valid = RefCell::new(vec!["former".to_owned(), "renewed".to_owned()]);
        let revoke = async |serial: String| {
            valid.borrow_mut().retain(|one| *one != serial);
            if serial == "former" {
                valid.borrow_mut().push("renewed meanwhile".to_owned());
            }
            Ok(1)
        };
        let serials = valid.borrow().clone();
        let (all, count) =
            revoke_all(&name, serials, revoke, async || Ok(valid.borrow().clone())).await.unwrap();
        assert_eq!((all, count), (["former", "renewed", "renewed meanwhile"].map(str::to_owned).to_vec(), 3));
        assert!(valid.borrow().is_empty());
    }

    #[tokio::test]
    async fn what_was_revoked_before_a_failure_is_named_and_a_name_without_end_is_a_failure() {
        let name = FullName::parse("station/t/a").unwrap();
        let serials = || vec!["one".to_owned(), "two".to_owned()];
        let revoke =
            async |serial: String| if serial == "one" { Ok(1) } else { Err(Failure::failed("gone")) };
        let failure = revoke_all(&name, serials(), revoke, async || Ok(Vec::new())).await.unwrap_err();
        assert_eq!(failure.to_string(), "gone\n  revoked before that: one");
        let endless =
            revoke_all(&name, serials(), async |_| Ok(1), async || Ok(serials())).await.unwrap_err();
        assert!(endless.to_string().contains("valid certificates again"), "{endless}");
    }
}
