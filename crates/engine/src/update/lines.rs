//! Product lines: each a role of its own in its maker's repository, with its paths, its keys, and the release managers who see it.

use super::metadata::Work;
use super::releases::releases_of;
use super::repositories::{UpdateKeys, fresh, repository};
use super::views::{self, ProductLine, UpdateRepository};
use super::{MAX_LINES, UpdateRole, no_line, no_repository, sees};
use crate::approve::Ask;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error};
use crate::rows::{self, FileColumn, LineColumn, LineRow, update_key};
use wardein_domain::{
    ErrorCode, Event, FieldName, GuardedDeed, LineName, OperatorName, Outcome, Reason, RepositoryName, Target,
};
use wardein_port::Table;
use wardein_tuf::{PathPattern, RoleName};

/// A product line to be made.
#[derive(Debug, Clone)]
pub struct LineOrder {
    /// The repository.
    pub repository: RepositoryName,
    /// Its name, which none of TUF's own roles has.
    pub name: LineName,
    /// The patterns of its paths: 1 to [`LineOrder::MAX_PATHS`].
    pub paths: Vec<PathPattern>,
    /// Who signs for it.
    pub keys: UpdateKeys,
    /// The release managers who see it, at most [`LineOrder::MAX_MANAGERS`].
    pub managers: Vec<OperatorName>,
}

impl LineOrder {
    /// The most patterns.
    pub const MAX_PATHS: usize = 16;
    /// The most release managers.
    pub const MAX_MANAGERS: usize = 16;
}

impl Engine {
    /// Makes a product line. The same order again changes nothing but its release managers.
    pub async fn create_product_line(&self, caller: &Caller, order: LineOrder) -> Result<ProductLine, Error> {
        let LineOrder { repository: name, name: line, paths, keys, managers } = &order;
        // A line is a role of TUF, and takes the name of no other.
        RoleName::new(line.as_str()).map_err(|error| Error::wrong("name", error))?;
        let made = fresh()?;
        self.transact_by(caller, |tx| {
            let (version, mut row) = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
            let paths: Vec<String> = paths.iter().map(|path| path.as_str().to_owned()).collect();
            let entry = self.entry(caller, Event::ProductLineMade, Target::Authority, Outcome::Done);
            let entry = entry.with(FieldName::Repository, name.as_str()).with(FieldName::Line, line.as_str());
            let found = row.lines.binary_search_by(|other| other.name.cmp(line));
            let is_new = found.is_err();
            match found {
                Ok(at) => {
                    let known = &mut row.lines[at];
                    if known.paths != paths || !keys.are(known.next.as_ref().unwrap_or(&known.keys)) {
                        let message = format_args!("line {line} of {name} exists, with other keys or paths");
                        return Err(Error::new(ErrorCode::LineExists, message).into());
                    }
                    if known.managers == *managers {
                        let line = row.lines[at].clone();
                        return Ok(Decision::unchanged(views::line(name, &row, &line)?));
                    }
                    known.managers.clone_from(managers);
                }
                Err(_) if row.lines.len() >= MAX_LINES => {
                    let message = format_args!("repository {name} has {MAX_LINES} lines already");
                    return Err(Error::new(ErrorCode::UpdateQuota, message).into());
                }
                Err(at) => {
                    let keys = self.key_set(tx, keys, &made)?;
                    let column = LineColumn {
                        name: line.clone(),
                        paths,
                        keys,
                        managers: managers.clone(),
                        file: FileColumn::default(),
                        next: None,
                    };
                    row.lines.insert(at, column);
                }
            }
            let mut work = Work::new(self, tx, name, row);
            if is_new {
                self.rest_on_authority(tx, &mut work.change)?;
                let key = update_key(name, line.as_str());
                work.change.insert(Table::ProductLine, key, rows::encode(&LineRow::default())?);
                work.draft_line(&UpdateRole::Line(line.clone()), &LineRow::default())?;
                work.draft_targets()?;
            }
            work.change.record(&entry)?;
            let (change, row) = work.finish(Some(version))?;
            let made = row.lines.iter().find(|other| other.name == *line);
            let made = made.ok_or_else(|| Error::internal("a line that was just made is missing"))?;
            Ok(Decision::new(change, views::line(name, &row, made)?))
        })
        .await
    }

    /// Drafts the metadata of a line for other keys to sign from then on, and the top-level targets, which name them. The two are served
    /// together once enough have signed. Until then the line is served as the former keys signed it.
    pub async fn rotate_line_keys(
        &self,
        caller: &Caller,
        name: RepositoryName,
        line: LineName,
        keys: UpdateKeys,
        reason: Reason,
    ) -> Result<UpdateRepository, Error> {
        let made = fresh()?;
        let ask = Ask::new(GuardedDeed::RotateUpdateRoot, None).with("repository", &name).with("line", &line);
        let ask = keys.said_in(ask).with("reason", &reason);
        self.transact_by(caller, |tx| {
            let (version, row) = repository(tx, &name)?.ok_or_else(|| no_repository(&name))?;
            let mut work = Work::new(self, tx, &name, row);
            self.rest_on_authority(tx, &mut work.change)?;
            let next = self.key_set(tx, &keys, &made)?;
            let found = work.row.lines.iter_mut().find(|other| other.name == line);
            found.ok_or_else(|| no_line(&name, &line))?.next = Some(next);
            let releases = releases_of(tx, &name, &line)?.1;
            work.draft_line(&UpdateRole::Line(line.clone()), &releases)?;
            work.draft_targets()?;
            let entry = self.entry(caller, Event::UpdateRootRotated, Target::Authority, Outcome::Done);
            let entry = entry.with(FieldName::Repository, name.as_str()).with(FieldName::Line, line.as_str());
            work.change.record(&entry.with(FieldName::Reason, &reason))?;
            let (change, row) = work.finish(Some(version))?;
            let decision = Decision::new(change, views::repository(&name, &row)?);
            self.approved(caller, tx, &ask, decision)
        })
        .await
    }

    /// The product lines that the caller may see, of one repository or of all.
    pub async fn list_product_lines(
        &self,
        caller: &Caller,
        of: Option<&RepositoryName>,
    ) -> Result<Vec<ProductLine>, Error> {
        let mut lines = Vec::new();
        for (name, row) in self.each_repository().await? {
            if of.is_some_and(|of| *of != name) {
                continue;
            }
            for line in row.lines.iter().filter(|line| sees(caller, line)) {
                lines.push(views::line(&name, &row, line)?);
            }
        }
        Ok(lines)
    }
}
