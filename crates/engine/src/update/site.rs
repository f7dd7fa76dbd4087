//! What a tenant decides itself: whether its devices are offered a release, and when. The maker releases; the site consents.

use super::releases::{no_release, releases_of};
use super::repositories::repository;
use super::views::{self, Release};
use super::{no_line, no_repository};
use crate::access::operators::Issuer;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{self, ChoiceColumn, IssuerRow, ReleaseStateColumn, SiteRow, WindowColumn};
use wardein_domain::{
    ErrorCode, Event, FieldName, LineName, Outcome, Reason, RepositoryName, Target, TenantId, UnixSeconds,
    UpdateWindow,
};
use wardein_port::{Change, Table};
use wardein_tuf::NotOffered;

/// The update rules of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdateRules {
    /// Whether a release needs the site's consent.
    pub needs_consent: bool,
    /// When devices are offered releases; at any time where it is none.
    pub window: Option<UpdateWindow>,
}

/// What was decided on a release, or on all of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateChoice {
    /// The maker's repository.
    pub repository: RepositoryName,
    /// The product line.
    pub line: LineName,
    /// The release; none for all of the line.
    pub version: Option<u64>,
    /// Whether it is consent; else refusal.
    pub consents: bool,
    /// Unix seconds at which it was decided.
    pub at: u64,
    /// Who decided.
    pub by: Issuer,
}

/// What a site decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateDecision {
    /// Devices may be offered it.
    Consent,
    /// They may not.
    Refuse,
    /// Nothing any more.
    Withdraw,
}

impl UpdateDecision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
        }
    }
}

impl Engine {
    /// The update rules of a tenant, and what it has decided, by repository, line and release.
    pub async fn get_update_rules(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
    ) -> Result<(UpdateRules, Vec<UpdateChoice>), Error> {
        let tenant = self.site(caller, tenant)?;
        self.look(|tx| {
            let row = row_of(tx, &tenant)?.1;
            let rules = rules(&row)?;
            Ok((rules, row.choices.into_iter().map(choice).collect()))
        })
        .await
    }

    /// Sets the rules of a tenant. The same again changes nothing.
    pub async fn put_update_rules(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        put: UpdateRules,
        reason: Reason,
    ) -> Result<UpdateRules, Error> {
        let tenant = self.site(caller, tenant)?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = row_of(tx, &tenant)?;
            let before = rules(&row)?;
            if before == put {
                return Ok(Decision::unchanged(put));
            }
            row.needs_consent = put.needs_consent;
            row.window = put.window.map(|window| WindowColumn {
                not_before: window.not_before(),
                until: window.until(),
                daily: window.daily(),
            });
            let mut change = Change::default();
            change.put(Table::SiteUpdates, key(&tenant), version, rows::encode(&row)?);
            let consent = |rules: &UpdateRules| if rules.needs_consent { "needed" } else { "not-needed" };
            let entry =
                self.entry(caller, Event::UpdateRulesPut, Target::Tenant(tenant.clone()), Outcome::Done);
            let entry = entry
                .in_tenant(&tenant)
                .changed(FieldName::Consent, consent(&before), consent(&put))
                .changed(FieldName::Window, said(before.window), said(put.window))
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, put))
        })
        .await
    }

    /// Consents to a release, or to all of a line; refuses it; or takes back what was decided. The release that was decided on. The same again
    /// changes nothing.
    pub async fn decide_update(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
        (name, line, number): (&RepositoryName, &LineName, Option<u64>),
        decision: UpdateDecision,
        reason: Reason,
    ) -> Result<Option<Release>, Error> {
        let tenant = self.site(caller, tenant)?;
        self.transact_by(caller, |tx| {
            let maker = repository(tx, name)?.ok_or_else(|| no_repository(name))?.1;
            if !maker.lines.iter().any(|of| of.name == *line) {
                return Err(no_line(name, line).into());
            }
            let release = match number {
                None => None,
                Some(number) => {
                    let row = releases_of(tx, name, line)?.1;
                    // What is proposed is its maker's affair.
                    let found = row.releases.iter().find(|release| {
                        release.version == number && release.state != ReleaseStateColumn::Proposed
                    });
                    let found = found.ok_or_else(|| no_release(name, line, number))?;
                    Some(views::release(name, line, found, row.plaintext(number)))
                }
            };
            let (version, mut row) = row_of(tx, &tenant)?;
            let place = row.choices.binary_search_by(|choice| {
                (&choice.repository, &choice.line, choice.version).cmp(&(name, line, number))
            });
            let before = place.ok().map(|at| row.choices[at].consents);
            let after = match decision {
                UpdateDecision::Consent => Some(true),
                UpdateDecision::Refuse => Some(false),
                UpdateDecision::Withdraw => None,
            };
            if before == after {
                return Ok(Decision::unchanged(release));
            }
            match (place, after) {
                (Ok(at), None) => drop(row.choices.remove(at)),
                (Err(_), Some(_)) if row.choices.len() >= MAX_CHOICES => {
                    let message =
                        format_args!("tenant {tenant} has {MAX_CHOICES} decisions already; withdraw some");
                    return Err(Error::new(ErrorCode::UpdateQuota, message).into());
                }
                (place, Some(consents)) => {
                    let by =
                        IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() };
                    let (repository, line) = (name.clone(), line.clone());
                    let made =
                        ChoiceColumn { repository, line, version: number, consents, at: self.time(), by };
                    match place {
                        Ok(at) => row.choices[at] = made,
                        Err(at) => row.choices.insert(at, made),
                    }
                }
                (Err(_), None) => return Err(Error::internal("a withdrawal changes nothing").into()),
            }
            let mut change = Change::default();
            change.put(Table::SiteUpdates, key(&tenant), version, rows::encode(&row)?);
            let entry =
                self.entry(caller, Event::UpdateDecided, Target::Tenant(tenant.clone()), Outcome::Done);
            let entry = entry
                .in_tenant(&tenant)
                .with(FieldName::Repository, name.as_str())
                .with(FieldName::Line, line.as_str());
            let entry = match number {
                Some(number) => entry.with(FieldName::Release, number),
                None => entry,
            };
            let entry = entry.with(FieldName::Consent, decision.as_str()).with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, release))
        })
        .await
    }

    /// The tenant that is meant: one that the caller may see.
    fn site(&self, caller: &Caller, tenant: Option<TenantId>) -> Result<TenantId, Error> {
        self.visible_tenant(caller, tenant)?.ok_or_else(|| Error::wrong("tenant", "is missing"))
    }
}

/// Whether a tenant has its devices offered that release at that time. The change rests on what it has decided.
pub(super) fn consented(
    tx: &Tx<'_>,
    tenant: &TenantId,
    (name, line, number): (&RepositoryName, &LineName, u64),
    now: UnixSeconds,
    change: &mut Change,
) -> Result<Result<(), NotOffered>, Stop> {
    let (version, row) = row_of(tx, tenant)?;
    // Where there is none, nothing is offered: consent is needed.
    if let Some(version) = version {
        change.check(Table::SiteUpdates, key(tenant), version);
    }
    let choice = |version: Option<u64>| {
        let is_it = |choice: &&ChoiceColumn| {
            (&choice.repository, &choice.line, choice.version) == (name, line, version)
        };
        row.choices.iter().find(is_it).map(|choice| choice.consents)
    };
    match choice(Some(number)).or_else(|| choice(None)) {
        Some(false) => return Ok(Err(NotOffered::Refused)),
        None if row.needs_consent => return Ok(Err(NotOffered::Consent)),
        Some(true) | None => {}
    }
    let is_open = rules(&row)?.window.is_none_or(|window| window.has(now));
    Ok(if is_open { Ok(()) } else { Err(NotOffered::Window) })
}

fn row_of(tx: &Tx<'_>, tenant: &TenantId) -> Result<(Option<u64>, SiteRow), Stop> {
    let found: Option<(u64, SiteRow)> = tx.row(Table::SiteUpdates, &key(tenant))?;
    let (version, row) = found.unzip();
    Ok((version, row.unwrap_or_default()))
}

fn rules(row: &SiteRow) -> Result<UpdateRules, Error> {
    let read = |window: &WindowColumn| UpdateWindow::new(window.not_before, window.until, window.daily);
    let window = row.window.as_ref().map(read).transpose();
    let window = window.map_err(|error| rows::damaged(Table::SiteUpdates, error))?;
    Ok(UpdateRules { needs_consent: row.needs_consent, window })
}

fn choice(of: ChoiceColumn) -> UpdateChoice {
    let ChoiceColumn { repository, line, version, consents, at, by } = of;
    UpdateChoice { repository, line, version, consents, at: at.get(), by: views::issuer(&by) }
}

/// A window as the audit log has it.
fn said(window: Option<UpdateWindow>) -> String {
    let Some(window) = window else { return "any-time".to_owned() };
    let second = |at: Option<UnixSeconds>| at.map_or_else(|| "-".to_owned(), |at| at.get().to_string());
    let range = format!("{}..{}", second(window.not_before()), second(window.until()));
    match window.daily() {
        None => range,
        Some((from, until)) => {
            format!("{range} daily {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
        }
    }
}

fn key(tenant: &TenantId) -> Vec<u8> {
    tenant.as_str().as_bytes().to_vec()
}

/// The most decisions of a tenant.
const MAX_CHOICES: usize = 1000;
