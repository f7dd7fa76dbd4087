//! Rules by which certificates count as revoked.

use super::NodeClock;
use crate::rows::{RuleRow, RuleScope};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use wardein_ddkg::DeviceName;
use wardein_domain::{TenantId, UnixSeconds};

/// Few devices have a rule, those that were readmitted; of tenants and CAs there are a handful.
#[derive(Default)]
pub(super) struct Revocations(RwLock<Rules>);

#[derive(Default)]
struct Rules {
    devices: HashMap<DeviceName, Known>,
    /// Of tenants and CAs, by the keys of their rows.
    wide: HashMap<Vec<u8>, (RuleScope, Known)>,
}

#[derive(Debug)]
struct Known {
    /// The version of the row.
    version: u64,
    rule: RuleRow,
}

impl Revocations {
    /// The rule that revokes the certificates that this CA issued at that time to that device, or to the platform of the tenant, if any.
    pub(super) fn rule(
        &self,
        (tenant, name): (&TenantId, Option<&DeviceName>),
        ca: &[u8; 20],
        issued_at: UnixSeconds,
        clock: &NodeClock,
    ) -> Option<RuleRow> {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_of = |scope: &RuleScope| match scope {
            RuleScope::Device(device) => Some(device) == name,
            RuleScope::Tenant(of) => of == tenant,
            RuleScope::Ca(id) => id == ca,
        };
        let wide = rules.wide.values().filter(|(scope, _)| is_of(scope)).map(|(_, known)| known);
        let all = name.and_then(|name| rules.devices.get(name)).into_iter().chain(wide);
        // As it is read it ends no later than it is stored.
        all.filter(|known| known.rule.covers(issued_at))
            .map(|known| known.rule.clone().read_by(clock))
            .find(|rule| rule.covers(issued_at))
    }

    /// Applies a rule, unless a later version is known.
    pub(super) fn put(&self, key: &[u8], scope: RuleScope, version: u64, rule: RuleRow) {
        let known = Known { version, rule };
        let mut rules = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_later = |present: Option<&Known>| present.is_none_or(|present| present.version < version);
        match scope {
            RuleScope::Device(name) if is_later(rules.devices.get(&name)) => {
                rules.devices.insert(name, known);
            }
            RuleScope::Device(_) => {}
            scope => {
                if is_later(rules.wide.get(key).map(|(_, known)| known)) {
                    rules.wide.insert(key.to_vec(), (scope, known));
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn dump(&self) -> Vec<String> {
        let rules = self.0.read().unwrap();
        let devices = rules.devices.iter().map(|(name, known)| format!("rule {name:?}: {known:?}"));
        let wide = rules.wide.values().map(|(scope, known)| format!("rule {scope:?}: {known:?}"));
        devices.chain(wide).collect()
    }
}
