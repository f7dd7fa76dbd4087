//! Work orders of a service system become visits of technicians, and the protocols of the visits go back to the orders.
//!
//! What: [`Desk`] takes orders from Salesforce (ServiceMax's `SVMXC__Service_Order__c`, or `WorkOrder`) by polling, or from another
//! system by signed webhooks; it invites the technician when an order is dispatched, ends the visit when the order is closed or
//! canceled, and writes back what came of it. It calls the authority as a `service-coordinator`, who can release no visit. Each
//! step is on disk before it is done, so that a crash at any moment makes no second visit and loses no protocol. Why a program of
//! its own: it holds a login of a system in the cloud, which the authority shall not. What it does not do: it releases no visit,
//! and certifies nobody.

mod authority;
mod config;
mod desk;
mod error;
mod https;
mod incoming;
mod journal;
mod moment;
mod order;
mod outgoing;
mod report;
mod salesforce;
mod signature;

pub use config::{Config, Source, Technician};
pub use desk::Desk;
pub use error::Error;
pub use incoming::Listener;
pub use signature::{SignatureError, WebhookKey};
