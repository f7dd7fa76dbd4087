//! The authority's clock.

use wardein_domain::{Agreement, UnixMillis, UnixSeconds};
use wardein_engine::{Acceptance, Caller, ClockStatus, Error, ErrorCode, LeftBehind};
use wardein_proto::{time, v1};

/// Refuses an operator of a tenant, which learns nothing of the others.
pub(super) fn of_the_authority(caller: &Caller) -> Result<(), Error> {
    match caller.principal.tenant {
        None => Ok(()),
        Some(_) => {
            Err(Error::new(ErrorCode::RoleInsufficient, "the clock is for operators of the authority"))
        }
    }
}

pub(super) fn second(ms: u64) -> UnixSeconds {
    UnixMillis::new(ms).seconds()
}

pub(super) fn response(
    status: ClockStatus,
    accepting: Option<Acceptance>,
    left_behind: Option<LeftBehind>,
) -> v1::GetClockResponse {
    let ClockStatus { now_ms, wall_ms, agreement, may_erase, acceptances } = status;
    let agreement = match agreement {
        Agreement::Since(_) => v1::ClockAgreement::Agrees,
        Agreement::Apart => v1::ClockAgreement::Apart,
        Agreement::Held => v1::ClockAgreement::Held,
    };
    let left_behind = left_behind.map(|LeftBehind { devices, certificates, operators }| v1::LeftBehind {
        devices,
        certificates,
        operators,
    });
    v1::GetClockResponse {
        time: time::at_ms(now_ms),
        wall_time: time::at_ms(wall_ms),
        agreement: agreement.into(),
        may_erase,
        acceptances,
        acceptance: accepting.map(acceptance),
        left_behind,
    }
}

pub(super) fn acceptance(Acceptance { from_ms, to_ms, is_new_era }: Acceptance) -> v1::ClockAcceptance {
    v1::ClockAcceptance { before: time::at_ms(from_ms), after: time::at_ms(to_ms), is_new_era }
}
