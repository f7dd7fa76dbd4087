//! Rows whose value is the key of another row: a serial leads to its holder, the name of an operator to its serial.

use super::{FORMAT, body};
use crate::kernel::Error;
use wardein_port::Table;

/// A format byte and the key.
pub(crate) struct Link;

impl Link {
    pub(crate) fn encode(key: &[u8]) -> Vec<u8> {
        [&[FORMAT], key].concat()
    }

    pub(crate) fn decode(table: Table, value: &[u8]) -> Result<&[u8], Error> {
        body(table, value, FORMAT)
    }
}
