//! The action `rekey` (DDKG-1 §6). The new generation is pending until a proof comes under it, so a lost reply is asked for anew.

use super::{Done, Performing};
use crate::kernel::{Error, Kind, Tx};
use wardein_ddkg::message::RekeyAsk;
use wardein_domain::Event;

pub(super) fn rekey(tx: &mut Tx<'_>, ask: &RekeyAsk, performing: Performing<'_>) -> Result<Done, Error> {
    let Performing { rules, now, accepted, record, .. } = performing;
    let suite = ask.share.suite().number();
    if !rules.profile.allows_suite(suite) {
        let allowed: Vec<_> = rules.profile.suites().map(|suite| suite.to_string()).collect();
        let message = format_args!("suite {suite} is not allowed; rekey with {}", allowed.join(" or "));
        return Err(Error::new(Kind::Precondition, "suite-not-allowed", message));
    }
    let answer = record.rekey(accepted, ask, rules.profile.schedule(now), tx.draw())?;
    let detail = format!("generation {}, suite {suite}", answer.generation);
    Ok(Done { event: Event::DeviceRekeyed, detail, reply: answer.encode() })
}
