//! `wardein operator list`.

use super::Operator;
use crate::connection::{ConnectArgs, Session};
use crate::{Column, Failure, Output, Record, pages, time};
use clap::Args;
use serde::Serialize;
use std::collections::HashMap;
use wardein_client::{time as wire, v1};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those of one tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Those that are valid and end within this time, the next to end first; not those that were renewed
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    expiring: Option<u64>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// An operator's certificate, and whether it is good.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    pub(super) of: Operator,
    pub(super) state: State,
}

/// Whether an operator is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Valid,
    /// Valid, and it has a certificate that ends later.
    Renewed,
    Expired,
    Revoked,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Renewed => "renewed",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the operator may call by it.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Self::Valid | Self::Renewed)
    }
}

impl Listed {
    fn new(operator: v1::Operator, now: u64) -> Self {
        let of = Operator::from(operator);
        let state = match of.revoked_at {
            1.. => State::Revoked,
            0 if now > of.not_after => State::Expired,
            0 => State::Valid,
        };
        Self { of, state }
    }

    /// By what it is known, whichever certificate it has.
    fn identity(&self) -> (String, String, String) {
        (self.of.tenant.clone(), self.of.role.clone(), self.of.name.clone())
    }

    /// A count of devices; nothing where it is no station.
    fn of_station(&self, count: u64) -> String {
        if self.of.role == "station" { count.to_string() } else { String::new() }
    }
}

impl Record for Listed {
    const COLUMNS: &'static [Column<Self>] = &[
        ("role", |listed| listed.of.role.clone()),
        ("tenant", |listed| listed.of.tenant.clone()),
        ("name", |listed| listed.of.name.clone()),
        ("state", |listed| listed.state.word().to_owned()),
        ("serial", |listed| listed.of.serial.clone()),
        ("valid until", |listed| time::at(listed.of.not_after)),
        ("revoked", |listed| time::at(listed.of.revoked_at)),
        ("enrolled", |listed| listed.of_station(listed.of.used)),
        ("of", |listed| listed.of_station(listed.of.quota)),
        ("issued by", |listed| listed.of.issued_by.clone()),
    ];
}

pub(super) async fn run(args: ListArgs, out: Output) -> Result<(), Failure> {
    let session = args.connect.open().await?;
    let tenant = args.tenant.or_else(|| session.tenant.clone()).unwrap_or_default();
    let (operators, now) = operators(&session, tenant).await?;
    out.list("operators", &chosen(operators, args.expiring.map(|within| (now, within))))
}

/// The operators of a tenant, or all that the caller may see, in no order; and the time by which their states are: the authority's.
pub(super) async fn operators(session: &Session, tenant: String) -> Result<(Vec<Listed>, u64), Failure> {
    let operator = session.operator();
    let now = wire::seconds(operator.get_status(v1::GetStatusRequest {}).await?.time);
    let operators = pages::all(async |page_size, page_token| {
        let request = v1::ListOperatorsRequest { tenant: tenant.clone(), page_size, page_token };
        let page = operator.list_operators(request).await?;
        Ok((page.operators, page.next_page_token))
    });
    let mut operators: Vec<_> =
        operators.await?.into_iter().map(|operator| Listed::new(operator, now)).collect();
    mark_renewed(&mut operators);
    Ok((operators, now))
}

fn mark_renewed(operators: &mut [Listed]) {
    let mut ends = HashMap::new();
    for operator in operators.iter().filter(|operator| operator.state.is_good()) {
        let end = ends.entry(operator.identity()).or_insert(0);
        *end = operator.of.not_after.max(*end);
    }
    for operator in operators.iter_mut().filter(|operator| operator.state == State::Valid) {
        if ends.get(&operator.identity()).is_some_and(|end| *end > operator.of.not_after) {
            operator.state = State::Renewed;
        }
    }
}

/// All of them by tenant, role and name; or those that end so many seconds from now, by their ends.
fn chosen(mut operators: Vec<Listed>, expiring: Option<(u64, u64)>) -> Vec<Listed> {
    match expiring {
        None => operators.sort_by_cached_key(|operator| (operator.identity(), operator.of.not_after)),
        Some((now, within)) => {
            let end = now.saturating_add(within);
            operators.retain(|operator| operator.state == State::Valid && operator.of.not_after <= end);
            operators.sort_by_cached_key(|operator| (operator.of.not_after, operator.identity()));
        }
    }
    operators
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    /// `station/t/NAME` with a certificate that ends so long after now, and was revoked at that time.
    pub(in crate::operator) fn station(name: &str, end: u64, revoked_at: u64) -> Listed {
        let operator = v1::Operator {
            role: v1::Role::Station.into(),
            tenant: "t".to_owned(),
            name: name.to_owned(),
            serial: format!("{name}-{end}"),
            not_before: wire::at(1),
            not_after: wire::at(end),
            revoked_at: wire::at(revoked_at).filter(|_| revoked_at > 0),
            ..Default::default()
        };
        Listed::new(operator, NOW)
    }

    fn listed(expiring: Option<u64>) -> Vec<(String, &'static str)> {
        let mut operators = vec![
            station("b", NOW + 50, 0),
            station("a", NOW + 900, 0),
            station("a", NOW + 20, 0),
            station("c", NOW - 1, 0),
            station("d", NOW + 30, 7),
            station("e", NOW, 0),
            station("f", NOW + 60, 0),
            station("f", NOW + 90, 7),
        ];
        mark_renewed(&mut operators);
        let chosen = chosen(operators, expiring.map(|within| (NOW, within)));
        chosen.into_iter().map(|operator| (operator.of.name, operator.state.word())).collect()
    }

    #[test]
    fn the_list_is_by_name_and_says_each_state() {
        let expected = [
            ("a", "renewed"),
            ("a", "valid"),
            ("b", "valid"),
            ("c", "expired"),
            ("d", "revoked"),
            ("e", "valid"),
            ("f", "valid"),
            ("f", "revoked"),
        ];
        assert_eq!(listed(None), expected.map(|(name, state)| (name.to_owned(), state)));
    }

    #[test]
    fn what_expires_is_by_its_end_and_leaves_out_what_was_renewed_or_is_over() {
        let names = |within| listed(Some(within)).into_iter().map(|(name, _)| name).collect::<String>();
        assert_eq!(names(0), "e");
        assert_eq!(names(50), "eb");
        assert_eq!(names(60), "ebf", "a later certificate that was revoked renews nothing");
        assert_eq!(names(900), "ebfa");
        assert_eq!(names(u64::MAX), "ebfa");
    }
}
