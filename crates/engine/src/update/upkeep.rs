//! Metadata that ends soon is made again: by custody, as far as custody signs it; what offline keys sign is drafted in time.

use super::UpdateRole;
use super::metadata::{ROOT_LIFETIME, TARGETS_LIFETIME, Work};
use super::releases::listed;
use super::repositories::repository;
use crate::kernel::record::{self, Recording};
use crate::kernel::{Decision, Engine, Error};
use crate::rows::FileColumn;
use wardein_domain::{Agreement, Event, FieldName, RepositoryName};

impl Engine {
    /// Makes again what ends soon; how many repositories had something due. To be called about every hour: a timestamp is made every day.
    pub async fn keep_updates(&self) -> Result<usize, Error> {
        // By a clock that is wrong it would be made for a time that is not now.
        if !matches!(self.clock_status().agreement, Agreement::Since(_)) {
            return Ok(0);
        }
        let mut kept = 0;
        for (name, _) in self.each_repository().await? {
            kept += usize::from(self.keep_repository(&name).await?);
        }
        Ok(kept)
    }

    async fn keep_repository(&self, name: &RepositoryName) -> Result<bool, Error> {
        self.transact(|tx| {
            let Some((version, row)) = repository(tx, name)? else { return Ok(Decision::unchanged(false)) };
            let mut work = Work::new(self, tx, name, row);
            let mut made = Vec::new();
            // What waits is not drafted again: it would lose the signatures that it has.
            let is_due = |work: &Work<'_, '_>, file: &FileColumn, within: u64| {
                file.draft.is_none() && file.served.is_some() && work.is_due(file, within)
            };
            if work.row.next.is_none() && is_due(&work, &work.row.root_file, ROOT_LIFETIME / 3) {
                let same = work.row.maker.clone();
                work.draft_root(same)?;
                made.push("root".to_owned());
            }
            if is_due(&work, &work.row.targets_file, TARGETS_LIFETIME / 3) {
                work.draft_targets()?;
                made.push("targets".to_owned());
            }
            for (line, releases) in listed(tx, name, &work.row)? {
                let role = UpdateRole::Line(line.clone());
                if is_due(&work, work.file(&role)?, TARGETS_LIFETIME / 3) {
                    work.draft_line(&role, &releases)?;
                    made.push(line.to_string());
                }
            }
            if made.is_empty() && !work.is_any_due() {
                return Ok(Decision::unchanged(false));
            }
            if !made.is_empty() {
                let entry = record::of_system(self.clock.now_ms(), Event::UpdateRenewed);
                let entry = entry.with(FieldName::Repository, name.as_str());
                work.change.record(&entry.with(FieldName::Metadata, made.join(", ")))?;
            }
            let (change, _) = work.finish(Some(version))?;
            Ok(Decision::new(change, true))
        })
        .await
    }
}
