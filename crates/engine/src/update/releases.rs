//! Releases: proposed, released, paused, resumed, recalled.

use super::metadata::{Work, is_listed};
use super::repositories::repository;
use super::views::{self, ArtifactKey, Release, ReleaseOrder, ReleaseState, Rollout};
use super::{MAX_RELEASES, UpdateRole, line_of, no_repository};
use crate::approve::Ask;
use crate::kernel::record::{Recording, hex};
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{
    self, IssuerRow, LineRow, PcrColumn, ReleaseColumn, ReleaseStateColumn, RepositoryRow, RolloutColumn,
    update_key,
};
use wardein_domain::{
    ErrorCode, Event, FieldName, GuardedDeed, LineName, Outcome, Reason, RepositoryName, Role, Target,
};
use wardein_port::Table;
use wardein_tuf::{PathPattern, TargetPath};

impl ReleaseOrder {
    /// The most PCRs.
    pub const MAX_PCRS: usize = 64;
    /// The highest version, and the longest artifact: what every reader of JSON has as the same number.
    pub const MAX_NUMBER: u64 = (1 << 53) - 1;
}

/// What becomes of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseDeed {
    /// What was proposed may be installed.
    Release,
    /// It is offered to nobody for the time being.
    Pause,
    /// It is offered again.
    Resume,
    /// It is taken out of the metadata, for good.
    Recall,
}

/// The state that a deed leads to from another; none where it does not lead from there. By policy a second person has a say ([`ask_for`]).
fn decided(from: ReleaseStateColumn, deed: ReleaseDeed) -> Option<ReleaseStateColumn> {
    use ReleaseStateColumn::{Paused, Proposed, Recalled, Released};
    match (deed, from) {
        (ReleaseDeed::Release, Proposed | Released) | (ReleaseDeed::Resume, Paused | Released) => {
            Some(Released)
        }
        (ReleaseDeed::Pause, Released | Paused) => Some(Paused),
        (ReleaseDeed::Recall, _) => Some(Recalled),
        _ => None,
    }
}

impl Engine {
    /// Puts a release on record, as proposed. The same order again changes nothing, but for the versions from which devices may go back to
    /// it: that is signed with it, and its line's metadata follows where the release is in it.
    pub async fn add_release(&self, caller: &Caller, order: ReleaseOrder) -> Result<Release, Error> {
        self.put_release(caller, &order, None).await
    }

    pub(super) async fn put_release(
        &self,
        caller: &Caller,
        order: &ReleaseOrder,
        sealed: Option<&ArtifactKey>,
    ) -> Result<Release, Error> {
        check(order)?;
        let path = TargetPath::new(&order.path).map_err(|error| Error::wrong("path", error))?;
        let (name, line) = (&order.repository, &order.line);
        self.transact_by(caller, |tx| {
            let (version, row) = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
            let column = line_of(caller, name, &row, line)?;
            let is_of_line =
                |pattern: &String| PathPattern::new(pattern).is_ok_and(|pattern| pattern.matches(&path));
            if !column.paths.iter().any(is_of_line) {
                let message = format_args!("no pattern of line {line} matches {path}");
                return Err(Error::new(ErrorCode::PathNotOfLine, message).into());
            }
            let (line_version, mut releases) = releases_of(tx, name, line)?;
            let has_key = self.has_artifact_key((name, line), releases.sealed(order.version), sealed)?;
            let plaintext = releases.plaintext(order.version);
            let known = releases.releases.iter_mut().find(|known| known.version == order.version);
            let (release, is_listed) = match known {
                Some(known) if has_key && is_but_for_downgrade(&views::order(name, line, known), order) => {
                    if known.downgrade_from == order.downgrade_from {
                        return Ok(Decision::unchanged(views::release(name, line, known, plaintext)));
                    }
                    known.downgrade_from = order.downgrade_from;
                    (known.clone(), is_listed(known.state))
                }
                _ => {
                    may_be_added(&releases, order)?;
                    let release = column_of(order, self.time(), caller);
                    releases.releases.push(release.clone());
                    if let Some(given) = sealed {
                        let column = self.seal_artifact_key(tx, (name, line, order.version), given)?;
                        releases.sealed.push(column);
                    }
                    (release, false)
                }
            };
            // It rests on the line and its paths as they are, and writes the repository's row.
            let mut work = Work::new(self, tx, name, row);
            if sealed.is_some() {
                self.rest_on_authority(tx, &mut work.change)?;
            }
            let key = update_key(name, line.as_str());
            work.change.update(Table::ProductLine, key, line_version, rows::encode(&releases)?);
            if is_listed {
                work.draft_line(&UpdateRole::Line(line.clone()), &releases)?;
            }
            let plaintext = releases.plaintext(order.version);
            let entry = self.entry(caller, Event::ReleaseAdded, Target::Authority, Outcome::Done);
            let entry = entry
                .with(FieldName::Repository, name.as_str())
                .with(FieldName::Line, line.as_str())
                .with(FieldName::Release, order.version)
                .with(FieldName::Artifact, hex(&order.sha256.0));
            let entry = match order.downgrade_from {
                Some(from) => entry.with(FieldName::DowngradeFrom, from),
                None => entry,
            };
            let entry = match plaintext {
                Some(file) => entry.with(FieldName::Plaintext, hex(&file.sha256.0)),
                None => entry,
            };
            work.change.record(&entry)?;
            let (change, _) = work.finish(Some(version))?;
            let release = views::release(name, line, &release, plaintext);
            let ask = is_listed.then(|| ask_for("downgrade", &release));
            let decision = Decision::new(change, release);
            match ask {
                Some(ask) => self.approved(caller, tx, &ask, decision),
                None => Ok(decision),
            }
        })
        .await
        .map(|release| self.counted(release))
    }

    /// The releases of a line, in order of their making. An operator of a tenant sees those that are or were released, for that tenant.
    pub async fn list_releases(
        &self,
        caller: &Caller,
        name: &RepositoryName,
        line: &LineName,
    ) -> Result<Vec<Release>, Error> {
        self.look(|tx| {
            let row = repository(tx, name)?.ok_or_else(|| no_repository(name))?.1;
            let decides = matches!(caller.principal.role, Role::Site | Role::TenantAdmin);
            if !(decides && row.lines.iter().any(|of| of.name == *line)) {
                line_of(caller, name, &row, line)?;
            }
            let mut row = releases_of(tx, name, line)?.1;
            if let Some(tenant) = &caller.principal.tenant {
                // What is proposed is its maker's affair.
                row.releases.retain(|release| {
                    let tenants = &release.rollout.tenants;
                    release.state != ReleaseStateColumn::Proposed
                        && (tenants.is_empty() || tenants.contains(tenant))
                });
            }
            let counts = self.memory.receipts(name, line);
            let view = |release: &ReleaseColumn| Release {
                receipts: counts.get(&release.version).copied().unwrap_or_default(),
                ..views::release(name, line, release, row.plaintext(release.version))
            };
            Ok(row.releases.iter().map(view).collect())
        })
        .await
    }

    /// The release with what devices have told of it.
    pub(super) fn counted(&self, release: Release) -> Release {
        let counts = self.memory.receipts(&release.order.repository, &release.order.line);
        Release { receipts: counts.get(&release.order.version).copied().unwrap_or_default(), ..release }
    }

    /// Releases, pauses, resumes or recalls. What is in the state already is left as it is. The metadata of the line follows at once where
    /// its keys are in custody, and else waits for signatures.
    pub async fn set_release_state(
        &self,
        caller: &Caller,
        (name, line, number): (&RepositoryName, &LineName, u64),
        deed: ReleaseDeed,
        reason: Reason,
    ) -> Result<Release, Error> {
        self.transact_by(caller, |tx| {
            let (version, row) = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
            line_of(caller, name, &row, line)?;
            let (line_version, mut releases) = releases_of(tx, name, line)?;
            let plaintext = releases.plaintext(number);
            let release = releases.releases.iter_mut().find(|release| release.version == number);
            let release = release.ok_or_else(|| no_release(name, line, number))?;
            let before = release.state;
            let state = decided(before, deed).ok_or_else(|| {
                let state = ReleaseState::from(before).as_str();
                let message = format_args!("release {number} of line {line} is {state}");
                Error::new(ErrorCode::ReleaseState, message)
            })?;
            if state == before {
                return Ok(Decision::unchanged(views::release(name, line, release, plaintext)));
            }
            (release.state, release.since) = (state, self.time());
            let release = release.clone();
            if state == ReleaseStateColumn::Recalled {
                // Nobody is given its key any more, and nothing of it is left to give.
                let keys = releases.sealed.iter_mut().filter(|sealed| sealed.version == number);
                keys.for_each(|sealed| sealed.key.clear());
            }
            let mut work = Work::new(self, tx, name, row);
            let key = update_key(name, line.as_str());
            work.change.update(Table::ProductLine, key, line_version, rows::encode(&releases)?);
            if is_listed(before) != is_listed(state) {
                work.draft_line(&UpdateRole::Line(line.clone()), &releases)?;
            }
            let entry = self.entry(caller, Event::ReleaseStateSet, Target::Authority, Outcome::Done);
            let entry = entry
                .with(FieldName::Repository, name.as_str())
                .with(FieldName::Line, line.as_str())
                .with(FieldName::Release, number)
                .changed(
                    FieldName::State,
                    ReleaseState::from(before).as_str(),
                    ReleaseState::from(state).as_str(),
                )
                .with(FieldName::Reason, &reason);
            work.change.record(&entry)?;
            let (change, _) = work.finish(Some(version))?;
            let release = views::release(name, line, &release, plaintext);
            let ask = match deed {
                ReleaseDeed::Release => Some("release"),
                ReleaseDeed::Resume => Some("resume"),
                // What holds devices back needs nobody.
                ReleaseDeed::Pause | ReleaseDeed::Recall => None,
            };
            let ask = ask.map(|deed| ask_for(deed, &release).with("reason", &reason));
            let decision = Decision::new(change, release);
            match ask {
                Some(ask) => self.approved(caller, tx, &ask, decision),
                None => Ok(decision),
            }
        })
        .await
        .map(|release| self.counted(release))
    }
}

/// What an approver is shown: the release whole, and to whom it goes.
fn ask_for(deed: &'static str, release: &Release) -> Ask {
    let Release { order, rollout, plaintext, .. } = release;
    let pcr = |pcr: &views::ReleasePcr| format!("{}:{}={}", pcr.bank, pcr.number, hex(&pcr.value));
    let ask = Ask::new(GuardedDeed::ReleaseUpdate, None)
        .with("deed", deed)
        .with("repository", &order.repository)
        .with("line", &order.line)
        .with("version", order.version)
        .with("label", &order.label)
        .with_each("models", &order.models)
        .with("path", &order.path)
        .with("length", order.length)
        .with("sha256", hex(&order.sha256.0))
        .with("floor", order.floor)
        .with("downgrade_from", order.downgrade_from.unwrap_or_default())
        .with("notes", order.notes.as_ref().map_or("", |notes| notes.as_str()))
        .with_each("attributes", order.attributes.iter().map(|(name, value)| format!("{name}={value}")))
        .with_each("pcrs", order.pcrs.iter().map(pcr))
        .with("rollout", rollout);
    match plaintext {
        Some(file) => ask.with("plaintext_length", file.length).with("plaintext_sha256", hex(&file.sha256.0)),
        None => ask,
    }
}

pub(super) fn no_release(name: &RepositoryName, line: &LineName, number: u64) -> Error {
    Error::new(ErrorCode::ReleaseUnknown, format_args!("line {line} of {name} has no release {number}"))
}

pub(super) fn releases_of(
    tx: &Tx<'_>,
    name: &RepositoryName,
    line: &LineName,
) -> Result<(u64, LineRow), Stop> {
    let found = tx.row(Table::ProductLine, &update_key(name, line.as_str()))?;
    found.ok_or_else(|| Error::internal("a line without a row").into())
}

/// What an order cannot be, whatever is on record.
fn check(order: &ReleaseOrder) -> Result<(), Error> {
    let number = |field: &str, number: u64, least: u64| {
        let most = ReleaseOrder::MAX_NUMBER;
        let why = format_args!("is {number}; it takes {least} to {most}");
        if (least..=most).contains(&number) { Ok(()) } else { Err(Error::wrong(field, why)) }
    };
    number("version", order.version, 1)?;
    number("length", order.length, 1)?;
    if order.floor > order.version {
        return Err(Error::wrong("floor", "is above the version"));
    }
    if let Some(from) = order.downgrade_from {
        number("downgrade_from", from, order.version + 1)?;
    }
    let count = |field: &str, count: usize, least: usize, most: usize| {
        let why = format_args!("has {count}; it takes {least} to {most}");
        if (least..=most).contains(&count) { Ok(()) } else { Err(Error::wrong(field, why)) }
    };
    count("models", order.models.len(), 1, wardein_tuf::Release::MAX_MODELS)?;
    for model in &order.models {
        count("models", model.as_str().len(), 1, wardein_tuf::Release::MAX_MODEL)?;
    }
    count("attributes", order.attributes.len(), 0, wardein_tuf::Release::MAX_ATTRIBUTES)?;
    count("pcrs", order.pcrs.len(), 0, ReleaseOrder::MAX_PCRS)?;
    for pcr in &order.pcrs {
        if pcr.number >= wardein_domain::PCRS || pcr.value.len() != pcr.bank.value_len() {
            return Err(Error::wrong("pcrs", "has a number or a value that its bank does not have"));
        }
    }
    let twice = |mut keys: Vec<String>| {
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    };
    if twice(order.models.iter().map(ToString::to_string).collect()) {
        return Err(Error::wrong("models", "has a model twice"));
    }
    if twice(order.attributes.iter().map(|(name, _)| name.to_string()).collect()) {
        return Err(Error::wrong("attributes", "has a name twice"));
    }
    if twice(order.pcrs.iter().map(|pcr| format!("{}:{}", pcr.bank, pcr.number)).collect()) {
        return Err(Error::wrong("pcrs", "has a PCR twice"));
    }
    Ok(())
}

/// Versions rise for each model, and a path is one release's: who fetched it knows what it is.
fn may_be_added(releases: &LineRow, order: &ReleaseOrder) -> Result<(), Error> {
    let shares = |release: &&ReleaseColumn| release.models.iter().any(|model| order.models.contains(model));
    let highest = releases.releases.iter().filter(shares).map(|release| release.version).max();
    // What is signed as a downgrade from all of them may be below them.
    let highest = highest.filter(|highest| order.downgrade_from.is_none_or(|from| from < *highest));
    let is_taken = releases.releases.iter().any(|release| release.version == order.version);
    if is_taken || highest.is_some_and(|highest| highest >= order.version) {
        let message = format_args!(
            "version {} is not above all others of line {} for its models",
            order.version, order.line
        );
        return Err(Error::new(ErrorCode::ReleaseNotNewer, message));
    }
    if releases.releases.iter().any(|release| release.path == order.path) {
        let message = format_args!("another release of line {} is at {}", order.line, order.path);
        return Err(Error::new(ErrorCode::PathNotOfLine, message));
    }
    if releases.releases.len() >= MAX_RELEASES {
        let message = format_args!("line {} has {MAX_RELEASES} releases already", order.line);
        return Err(Error::new(ErrorCode::UpdateQuota, message));
    }
    Ok(())
}

fn is_but_for_downgrade(known: &ReleaseOrder, order: &ReleaseOrder) -> bool {
    ReleaseOrder { downgrade_from: order.downgrade_from, ..known.clone() } == *order
}

fn column_of(order: &ReleaseOrder, since: wardein_domain::UnixSeconds, caller: &Caller) -> ReleaseColumn {
    let pcr =
        |pcr: &views::ReleasePcr| PcrColumn { bank: pcr.bank, number: pcr.number, value: pcr.value.clone() };
    ReleaseColumn {
        version: order.version,
        label: order.label.clone(),
        models: order.models.clone(),
        path: order.path.clone(),
        length: order.length,
        sha256: order.sha256.0,
        floor: order.floor,
        notes: order.notes.clone(),
        attributes: order.attributes.clone(),
        pcrs: order.pcrs.iter().map(pcr).collect(),
        downgrade_from: order.downgrade_from,
        rollout: RolloutColumn::from(&Rollout::everyone()),
        state: ReleaseStateColumn::Proposed,
        since,
        by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
    }
}

/// What is on record of a line, for upkeep.
pub(super) fn listed(
    tx: &Tx<'_>,
    name: &RepositoryName,
    row: &RepositoryRow,
) -> Result<Vec<(LineName, LineRow)>, Stop> {
    row.lines.iter().map(|line| Ok((line.name.clone(), releases_of(tx, name, &line.name)?.1))).collect()
}
