//! Audit entries: how they are made, and how they come into a change.

use crate::kernel::{Caller, Decision, Engine, Error};
use crate::rows;
use crate::rows::audit::{decode, encode};
use wardein_ddkg::DeviceName;
use wardein_domain::{Actor, AuditEntry, Call, DeviceId, Event, FieldName, Outcome, Target, TenantId};
use wardein_port::{Change, Indexed, Numbered};

/// Bytes as fields have them.
pub(crate) use wardein_crypto::hex::encode as hex;

impl Engine {
    /// Records something that alters no record: the start of the service, or its end. On a full disk too, as it must be able to start.
    pub async fn record_system(&self, event: Event) -> Result<(), Error> {
        let entry = of_system(self.clock.now_ms(), event);
        self.transact(|_| {
            let mut change = Change { may_use_reserve: true, ..Change::default() };
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// An entry by an operator.
    pub(crate) fn entry(
        &self,
        caller: &Caller,
        event: Event,
        target: Target,
        outcome: Outcome,
    ) -> AuditEntry {
        let actor = Actor::from(&caller.principal);
        entry(self.clock.now_ms(), actor, event, target, outcome, &caller.call)
    }

    pub(crate) async fn record(&self, entry: AuditEntry) -> Result<(), Error> {
        self.transact(|_| {
            let mut change = Change::default();
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }
}

/// An entry by this software.
pub(crate) fn entry(
    now_ms: u64,
    actor: Actor,
    event: Event,
    target: Target,
    outcome: Outcome,
    call: &Call,
) -> AuditEntry {
    let entry = AuditEntry::new(SOFTWARE, now_ms, actor, event, target, outcome, call);
    let entry = match &call.bearer_token {
        Some(id) => entry.with(FieldName::BearerToken, hex(id)),
        None => entry,
    };
    match &call.batch {
        Some(digest) => entry.with(FieldName::Batch, hex(digest)),
        None => entry,
    }
}

/// An entry about an action of the authority itself.
pub(crate) fn of_system(now_ms: u64, event: Event) -> AuditEntry {
    entry(now_ms, Actor::System, event, Target::Authority, Outcome::Done, &Call::default())
}

/// The target of an entry about a device.
pub(crate) fn target(name: &DeviceName) -> Target {
    Target::Device(name.tenant.clone(), name.device.clone())
}

/// A device as the field `Device` has it.
pub(crate) fn device_text(tenant: &TenantId, device: &DeviceId) -> String {
    format!("{tenant}/{device}")
}

/// A list as fields have it.
pub(crate) fn listed(items: &[impl ToString]) -> String {
    match items {
        [] => "none".to_owned(),
        items => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// Puts a decision on record.
pub(crate) trait Recording {
    /// Adds an audit entry, to the log of its tenant and to the history of its device.
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error>;

    /// Adds one that was encoded before.
    fn record_again(&mut self, entry: &AuditEntry, value: Vec<u8>);

    /// Adds one that is stored already to the log of its tenant and to the history of its device.
    fn index_again(&mut self, number: u64, entry: &AuditEntry);
}

impl Recording for Change {
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.record_again(entry, encode(entry)?);
        Ok(())
    }

    fn record_again(&mut self, entry: &AuditEntry, value: Vec<u8>) {
        index(self, entry, Numbered::Here(self.audit.len()));
        self.audit.push(value);
    }

    fn index_again(&mut self, number: u64, entry: &AuditEntry) {
        index(self, entry, Numbered::Stored(number));
    }
}

/// An entry is found under its tenant, and under its device if it is of its history. The keys are a function of the entry, so that a
/// restore and a migration find the same.
fn index(change: &mut Change, entry: &AuditEntry, number: Numbered) {
    let mut add = |key| change.index.push(Indexed { key, entry: number });
    if let Some(tenant) = &entry.tenant {
        add(rows::log_key(tenant));
    }
    if let Some((tenant, device)) = entry.of_history() {
        add(rows::history_key(tenant, device));
    }
}

/// Unix milliseconds of a stored entry.
pub(crate) fn time_of(value: &[u8]) -> Result<u64, Error> {
    Ok(decode(value)?.time_ms)
}

/// The first step of a deed of several.
pub(crate) const BEGUN: &str = "begun";

/// A new version of the root key was found in custody, and on no record.
pub(crate) const FOUND: &str = "found-in-custody";

/// The version of a new root key is chosen; custody is asked next.
pub(crate) const CHOSEN: &str = "chosen";

/// Everything that was under older versions is sealed under the new one.
pub(crate) const SEALED: &str = "sealed-again";

/// Its last step.
pub(crate) const COMPLETE: &str = "complete";

/// The value of a setting that is not set.
pub(crate) const INHERITED: &str = "inherited";

const SOFTWARE: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Files whose faults name stored types as Rust does, and tests. Of a fault no entry has the message.
    const LEFT_OUT: [&str; 2] = ["rows", "tests"];

    #[test]
    fn no_debug_text_reaches_an_entry() {
        let mut seen = 0;
        look(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut seen);
        assert!(seen > 40, "{seen} files");
    }

    fn look(folder: &Path, seen: &mut usize) {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if LEFT_OUT.contains(&name) {
                continue;
            }
            if path.is_dir() {
                look(&path, seen);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap();
            assert!(!shipped.contains(concat!(":", "?}")), "{}", path.display());
            assert!(!shipped.contains(concat!(":#", "?}")), "{}", path.display());
            *seen += 1;
        }
    }
}
