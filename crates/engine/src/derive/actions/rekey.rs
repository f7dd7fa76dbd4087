//! The action `rekey` (DDKG-1 §6). The new generation is pending until a proof comes under it, so a lost reply is requested
//! again.

use super::{Done, Performing, require_suite};
use crate::kernel::{Error, Tx};
use wardein_ddkg::message::RekeyAsk;
use wardein_domain::{Event, FieldName, Fields};

pub(super) fn rekey(tx: &mut Tx<'_>, ask: &RekeyAsk, performing: Performing<'_>) -> Result<Done, Error> {
    let Performing { rules, now, accepted, record, .. } = performing;
    let suite = ask.share.suite().number();
    require_suite(suite, &rules.profile)?;
    let before = record.active_generation();
    let answer = record.rekey(accepted, ask, rules.profile.schedule(now), tx.draw())?;
    let fields = Fields::default()
        .changed(FieldName::Generation, before, answer.generation)
        .with(FieldName::Suite, suite);
    Ok(Done::new(Event::DeviceRekeyed, fields, answer.encode()))
}
