//! Streams of operators that have no end by themselves: each operator, and each tenant, has so many places for them.

use crate::config::Limits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wardein_domain::{Principal, TenantId};
use wardein_engine::{Detail, Error, ErrorCode};

/// The places.
pub(crate) struct Streams {
    open: Arc<Mutex<Open>>,
    per_operator: usize,
    per_tenant: usize,
}

/// How many are open: of each tenant, and in it of each operator by role and name. A renewed certificate brings no new places.
#[derive(Default)]
struct Open(HashMap<Option<TenantId>, OfTenant>);

#[derive(Default)]
struct OfTenant {
    all: usize,
    by_operator: HashMap<String, usize>,
}

/// A place, free again when this is dropped.
pub(crate) struct StreamPlace {
    open: Arc<Mutex<Open>>,
    tenant: Option<TenantId>,
    operator: String,
}

impl Streams {
    pub(crate) fn new(limits: &Limits) -> Self {
        let Limits { streams_per_operator, streams_per_tenant, .. } = *limits;
        Self { open: Arc::default(), per_operator: streams_per_operator, per_tenant: streams_per_tenant }
    }

    /// A place for a stream of that operator, if there is one.
    pub(crate) fn enter(&self, caller: &Principal) -> Result<StreamPlace, Error> {
        let (tenant, operator) = (caller.tenant.clone(), caller.to_string());
        let mut open = lock(&self.open);
        let (of_tenant, of_operator) = open.0.get(&tenant).map_or((0, 0), |of_tenant| {
            (of_tenant.all, of_tenant.by_operator.get(&operator).copied().unwrap_or(0))
        });
        if of_operator >= self.per_operator {
            return Err(too_many(&operator, self.per_operator));
        }
        if of_tenant >= self.per_tenant {
            return Err(too_many("the tenant", self.per_tenant));
        }
        let of_tenant = open.0.entry(tenant.clone()).or_default();
        of_tenant.all += 1;
        *of_tenant.by_operator.entry(operator.clone()).or_default() += 1;
        Ok(StreamPlace { open: self.open.clone(), tenant, operator })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        let Some(of_tenant) = open.0.get_mut(&self.tenant) else { return };
        of_tenant.all -= 1;
        if let Some(count) = of_tenant.by_operator.get_mut(&self.operator) {
            *count -= 1;
            if *count == 0 {
                of_tenant.by_operator.remove(&self.operator);
            }
        }
        if of_tenant.all == 0 {
            open.0.remove(&self.tenant);
        }
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    // Nothing that counts panics.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(whose: &str, most: usize) -> Error {
    let message = format_args!("{whose} has {most} streams open; end some before another is begun");
    Error::new(ErrorCode::TooManyStreams, message).with(Detail::Quota(whose.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::{Role, Serial};

    fn caller(tenant: &str, name: &str, serial: u8) -> Principal {
        Principal {
            role: Role::Platform,
            tenant: Some(tenant.parse().unwrap()),
            name: name.parse().unwrap(),
            serial: Serial::from_random([serial; 16]),
        }
    }

    #[test]
    fn an_operator_and_a_tenant_have_so_many_places_and_leave_nothing_behind() {
        let streams =
            Streams::new(&Limits { streams_per_operator: 2, streams_per_tenant: 3, ..Limits::default() });
        let refused = |by: &Principal| streams.enter(by).err().map(|error| error.code);
        let (one, renewed) = (caller("t", "one", 1), caller("t", "one", 2));
        let held = [streams.enter(&one).unwrap(), streams.enter(&renewed).unwrap()];
        assert_eq!(refused(&renewed), Some(ErrorCode::TooManyStreams), "of the same operator");
        let third = streams.enter(&caller("t", "two", 3)).unwrap();
        assert_eq!(refused(&caller("t", "three", 4)), Some(ErrorCode::TooManyStreams), "of the tenant");
        assert_eq!(refused(&caller("other", "one", 5)), None);
        drop(third);
        assert_eq!(refused(&caller("t", "three", 4)), None);
        drop(held);
        assert!(lock(&streams.open).0.is_empty());
    }
}
