//! Each RPC with missing, oversized, malformed, foreign, expired, replayed and unauthorized requests, over real TLS: the status,
//! the stable code, words that name the fault, an audit entry where the caller is known, and no change.

mod admin;
mod approvals;
mod bearer_tokens;
mod cas;
mod device;
mod edge;
mod grants;
mod invitations;
mod keys;
mod platform;
mod posted;
mod profiles;
mod provisioning;
mod queries;
mod quotes;
mod reader;
mod release;
mod release_many;
mod service_access;
mod signing;
mod site;
mod storage;
mod transfers;
mod trust_policies;
mod updates;
mod vouchers;
mod webhooks;
mod world;
