//! Audit entries: how they are made, and how they come into a change.

use crate::kernel::{Caller, Decision, Draw, Engine, Error};
use crate::rows;
use crate::rows::audit::{decode, encode};
use wardein_ddkg::DeviceName;
use wardein_domain::{Actor, AuditEntry, Call, DeviceId, Event, Outcome, Target, TenantId};
use wardein_port::{Change, Table};

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
    AuditEntry::new(SOFTWARE, now_ms, actor, event, target, outcome, call)
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
    /// Adds an audit entry.
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error>;

    /// Adds an audit entry about a device, to the log and to the device's history.
    fn record_on(
        &mut self,
        draw: &mut Draw<'_>,
        device: &DeviceName,
        entry: &AuditEntry,
    ) -> Result<(), Error>;
}

impl Recording for Change {
    fn record(&mut self, entry: &AuditEntry) -> Result<(), Error> {
        self.audit.push(encode(entry)?);
        Ok(())
    }

    fn record_on(
        &mut self,
        draw: &mut Draw<'_>,
        device: &DeviceName,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let value = encode(entry)?;
        self.insert(Table::History, history_key(draw, device, entry)?, value.clone());
        self.audit.push(value);
        Ok(())
    }
}

/// `tenant ‖ 0 ‖ device ‖ 0 ‖ u64(Unix ms) ‖ 8 random bytes`: several may come in one millisecond.
fn history_key(draw: &mut Draw<'_>, name: &DeviceName, entry: &AuditEntry) -> Result<Vec<u8>, Error> {
    let tie: [u8; 8] = draw.public()?;
    let mut key = rows::certificate_prefix(&name.tenant, &name.device);
    key.extend_from_slice(&entry.time_ms.to_be_bytes());
    key.extend_from_slice(&tie);
    Ok(key)
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
