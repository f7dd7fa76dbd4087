//! From the spool to an audience's target, one batch after the other.

use crate::deliver::{Target, Undelivered};
use crate::name::AudienceName;
use crate::spool::{BatchName, Spool, SpoolError};
use std::cell::RefCell;
use std::rc::Rc;

/// Delivers the batches of one audience, in order.
pub struct Outbox<T> {
    spool: Rc<RefCell<Spool>>,
    audience: AudienceName,
    target: T,
    failures: u32,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// Nothing waits.
    Nothing,
    /// This one was delivered.
    Delivered(BatchName),
    /// This one was refused for good, and is in quarantine.
    Quarantined(BatchName),
    /// Nothing was delivered, for the so-manieth time in a row.
    Failed {
        /// How many times.
        failures: u32,
        /// Why.
        why: String,
    },
}

impl<T: Target> Outbox<T> {
    /// What waits in `spool` for `audience` goes to `target`.
    pub fn new(spool: Rc<RefCell<Spool>>, audience: AudienceName, target: T) -> Self {
        Self { spool, audience, target, failures: 0 }
    }

    /// Tries to deliver the next batch, once. Dropping it midway is safe: the batch is delivered again.
    pub async fn step(&mut self) -> Sent {
        let next = self.spool.borrow().next(&self.audience);
        let Some(name) = next else { return Sent::Nothing };
        let sent = self.deliver(&name).await;
        match &sent {
            Sent::Failed { .. } => self.failures = self.failures.saturating_add(1),
            _ => self.failures = 0,
        }
        sent
    }

    async fn deliver(&mut self, name: &BatchName) -> Sent {
        let read = self.spool.borrow().read(name);
        let delivered = match &read {
            Ok(Some(parcel)) => self.target.deliver(parcel).await,
            // Nobody can take it as it is, and those behind it are whole.
            Ok(None) => {
                Err(Undelivered::Refused("the batch, or the statement beside it, is gone".to_owned()))
            }
            Err(error) => Err(Undelivered::Again(error.to_string())),
        };
        let done: Result<Sent, SpoolError> = match delivered {
            Ok(()) => self.spool.borrow_mut().delivered(name).map(|()| Sent::Delivered(name.clone())),
            Err(Undelivered::Refused(why)) => {
                tracing::error!(batch = %name, why, "a batch was refused for good, and is in quarantine");
                let quarantined = self.spool.borrow_mut().quarantine(name, &why);
                quarantined.map(|()| Sent::Quarantined(name.clone()))
            }
            Err(Undelivered::Again(why)) => Ok(Sent::Failed { failures: self.failures + 1, why }),
        };
        done.unwrap_or_else(|error| Sent::Failed { failures: self.failures + 1, why: error.to_string() })
    }
}
