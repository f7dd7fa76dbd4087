//! The authority itself: founding, migration, root and tenant keys, sweep, backup and restore, and deeds of several steps.

pub(crate) mod backup;
pub(crate) mod clock;
pub(crate) mod deeds;
pub(crate) mod found;
pub(crate) mod migrate;
pub(crate) mod opens;
pub(crate) mod recover;
pub(crate) mod restore;
pub(crate) mod root_ca;
pub(crate) mod root_key;
pub(crate) mod root_rotation;
pub(crate) mod sweep;
pub(crate) mod tenant_keys;
pub(crate) mod unserved;
pub(crate) mod upkeep;
