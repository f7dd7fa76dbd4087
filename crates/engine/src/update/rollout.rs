//! To which devices a release is rolled out: those of some tenants and profiles, and a share of them that only grows as its percentage does.

use super::metadata::Work;
use super::releases::{no_release, releases_of};
use super::repositories::repository;
use super::views::{self, Release, Rollout};
use super::{line_of, no_repository};
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error};
use crate::rows::{self, ReleaseStateColumn, RolloutColumn, update_key};
use wardein_crypto::Digest;
use wardein_ddkg::DeviceName;
use wardein_domain::{
    ErrorCode, Event, FieldName, LineName, Outcome, ProfileName, Reason, RepositoryName, Target,
};
use wardein_port::Table;

impl Rollout {
    /// The most tenants, and the most profiles.
    pub const MAX_NAMES: usize = 64;

    /// All devices.
    pub fn everyone() -> Self {
        Self { percent: 100, tenants: Vec::new(), profiles: Vec::new() }
    }

    /// Whether it has the device.
    pub(super) fn has(
        &self,
        (repository, line, version): (&RepositoryName, &LineName, u64),
        device: &DeviceName,
        profile: &ProfileName,
    ) -> bool {
        let is_of = (self.tenants.is_empty() || self.tenants.contains(&device.tenant))
            && (self.profiles.is_empty() || self.profiles.contains(profile));
        is_of && place_of((repository, line, version), device) < self.percent
    }
}

/// Where a device is among all, 0 to 99: the same for a release whenever it is asked, and another for the next release, so that no device
/// is always the first.
fn place_of(
    (repository, line, version): (&RepositoryName, &LineName, u64),
    DeviceName { tenant, device }: &DeviceName,
) -> u8 {
    // No name has a zero byte.
    let of = format!("wardein rollout\0{repository}\0{line}\0{version}\0{tenant}\0{device}");
    let digest = Digest::of(of.as_bytes()).0;
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (number % 100) as u8
}

impl std::fmt::Display for Rollout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.percent)?;
        let names = |of: Vec<&str>| of.join(", ");
        if !self.tenants.is_empty() {
            write!(f, " of tenants {}", names(self.tenants.iter().map(|tenant| tenant.as_str()).collect()))?;
        }
        if !self.profiles.is_empty() {
            write!(f, " of profiles {}", names(self.profiles.iter().map(ProfileName::as_str).collect()))?;
        }
        Ok(())
    }
}

impl From<&RolloutColumn> for Rollout {
    fn from(column: &RolloutColumn) -> Self {
        let RolloutColumn { percent, tenants, profiles } = column.clone();
        Self { percent, tenants, profiles }
    }
}

impl From<&Rollout> for RolloutColumn {
    fn from(rollout: &Rollout) -> Self {
        let Rollout { percent, tenants, profiles } = rollout.clone();
        Self { percent, tenants, profiles }
    }
}

impl Engine {
    /// Says to which devices a release is offered once it is released. The same again changes nothing.
    pub async fn set_release_rollout(
        &self,
        caller: &Caller,
        (name, line, number): (&RepositoryName, &LineName, u64),
        rollout: Rollout,
        reason: Reason,
    ) -> Result<Release, Error> {
        if rollout.percent > 100 {
            return Err(Error::wrong("percent", format_args!("is {}; it takes 0 to 100", rollout.percent)));
        }
        let counts = [("tenants", rollout.tenants.len()), ("profiles", rollout.profiles.len())];
        if let Some((field, count)) = counts.into_iter().find(|(_, count)| *count > Rollout::MAX_NAMES) {
            let why = format_args!("has {count}; it takes at most {}", Rollout::MAX_NAMES);
            return Err(Error::wrong(field, why));
        }
        self.transact_by(caller, |tx| {
            let (version, row) = repository(tx, name)?.ok_or_else(|| no_repository(name))?;
            line_of(caller, name, &row, line)?;
            let (line_version, mut releases) = releases_of(tx, name, line)?;
            let plaintext = releases.plaintext(number);
            let release = releases.releases.iter_mut().find(|release| release.version == number);
            let release = release.ok_or_else(|| no_release(name, line, number))?;
            if release.state == ReleaseStateColumn::Recalled {
                let message = format_args!("release {number} of line {line} is recalled");
                return Err(Error::new(ErrorCode::ReleaseState, message).into());
            }
            let (before, next) = (Rollout::from(&release.rollout), RolloutColumn::from(&rollout));
            if release.rollout == next {
                return Ok(Decision::unchanged(views::release(name, line, release, plaintext)));
            }
            release.rollout = next;
            let release = release.clone();
            let mut work = Work::new(self, tx, name, row);
            let key = update_key(name, line.as_str());
            work.change.update(Table::ProductLine, key, line_version, rows::encode(&releases)?);
            let entry = self.entry(caller, Event::ReleaseRolloutSet, Target::Authority, Outcome::Done);
            let entry = entry
                .with(FieldName::Repository, name.as_str())
                .with(FieldName::Line, line.as_str())
                .with(FieldName::Release, number)
                .changed(FieldName::Rollout, before.to_string(), rollout.to_string())
                .with(FieldName::Reason, &reason);
            work.change.record(&entry)?;
            let (change, _) = work.finish(Some(version))?;
            Ok(Decision::new(change, views::release(name, line, &release, plaintext)))
        })
        .await
        .map(|release| self.counted(release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_percentage_only_adds_devices_and_a_release_has_its_own_first() {
        let (repository, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
        let profile = "default".parse().unwrap();
        let device = |n: u32| DeviceName {
            tenant: "klinik".parse().unwrap(),
            device: format!("d-{n}").parse().unwrap(),
        };
        let chosen = |version: u64, percent: u8| -> Vec<u32> {
            let rollout = Rollout { percent, ..Rollout::everyone() };
            (0..1000).filter(|n| rollout.has((&repository, &line, version), &device(*n), &profile)).collect()
        };
        assert_eq!((chosen(7, 0).len(), chosen(7, 100).len()), (0, 1000));
        let mut former = Vec::new();
        for percent in [1, 5, 20, 50, 99] {
            let now = chosen(7, percent);
            assert!(former.iter().all(|n| now.contains(n)), "at {percent} % a device was taken out");
            let expected = usize::from(percent) * 10;
            assert!(now.len().abs_diff(expected) < 60, "{} devices at {percent} %", now.len());
            former = now;
        }
        assert_ne!(chosen(7, 5), chosen(8, 5));
        let of = Rollout { tenants: vec!["klinik".parse().unwrap()], ..Rollout::everyone() };
        assert!(of.has((&repository, &line, 7), &device(1), &profile));
        let of = Rollout { tenants: vec!["lab".parse().unwrap()], ..Rollout::everyone() };
        assert!(!of.has((&repository, &line, 7), &device(1), &profile));
        let of = Rollout { profiles: vec!["icu".parse().unwrap()], ..Rollout::everyone() };
        assert!(!of.has((&repository, &line, 7), &device(1), &profile));
        assert!(of.has((&repository, &line, 7), &device(1), &"icu".parse().unwrap()));
    }
}
