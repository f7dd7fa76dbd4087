//! `wardein trust explain`: the standing of a device for people who support it.

use super::policy::place;
use crate::connection::ConnectArgs;
use crate::{Column, Failure, Output, Record, pages, time};
use clap::Args;
use serde::Serialize;
use wardein_client::{Word, time as wire, v1, word};
use wardein_domain::{DeviceState, Event, FieldName, VerdictReason};

/// As an administrator, an auditor or a helpdesk. It reads the device's record and its history, and that is recorded as any reading
/// of the history.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The device's id
    device: String,
    /// The tenant
    #[arg(long)]
    tenant: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// An empty text, or 0 for a time, is one that is not on record.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Explanation {
    tenant: String,
    device_id: String,
    verdict: String,
    /// Each reason of the verdict.
    reasons: Vec<String>,
    /// What cures each, in their order.
    cures: Vec<String>,
    /// Unix seconds from which time alone makes another verdict.
    valid_until: u64,
    /// The profile whose trust policy led to it; `tenant` for the tenant's, `none` where nothing is set for the device.
    policy: String,
    /// The version of that policy.
    policy_version: String,
    state: String,
    /// What the state means.
    meaning: String,
    /// Why, in the words of who did it.
    reason: String,
    /// Unix seconds.
    since: u64,
    by: String,
    event: String,
    request_id: String,
    /// What to do, and with which command.
    remedy: String,
    command: String,
    /// What else keeps it from what it asks for.
    also: Vec<String>,
    /// Unix seconds of its last proof.
    last_seen: u64,
}

impl Record for Explanation {
    const COLUMNS: &'static [Column<Self>] = &[
        ("device", |of| format!("{} of tenant {}", of.device_id, of.tenant)),
        ("verdict", |of| of.verdict.clone()),
        ("reasons", |of| of.reasons.join(", ")),
        ("policy", |of| match of.policy.as_str() {
            "none" => "none is set".to_owned(),
            "tenant" => format!("that of the tenant, version {}", of.policy_version),
            profile => format!("that of profile {profile}, version {}", of.policy_version),
        }),
        ("until", |of| time::at(of.valid_until)),
        ("why", |of| of.meaning.clone()),
        ("reason", |of| of.reason.clone()),
        ("since", |of| time::at(of.since)),
        ("by", |of| who(&of.by)),
        ("event", |of| of.event.clone()),
        ("request", |of| of.request_id.clone()),
        ("what to do", |of| match of.remedy.as_str() {
            "" => of.cures.join(" "),
            remedy => remedy.to_owned(),
        }),
        ("command", |of| of.command.clone()),
        ("also", |of| of.also.join("; ")),
        ("last proof", |of| time::at(of.last_seen)),
    ];
}

impl ExplainArgs {
    pub(crate) async fn run(self, out: Output) -> Result<(), Failure> {
        let session = self.connect.open().await?;
        let (tenant, device_id) = (session.tenant(self.tenant).await?, self.device);
        let operator = session.operator();
        let request = v1::GetDeviceRequest { tenant: tenant.clone(), device_id: device_id.clone() };
        let device = operator.get_device(request).await?.device.unwrap_or_default();
        let request = v1::GetDeviceTrustRequest { tenant: tenant.clone(), device_id: device_id.clone() };
        let trust = operator.get_device_trust(request).await?;
        let history = pages::all(async |page_size, page_token| {
            let (tenant, device_id) = (tenant.clone(), device_id.clone());
            let request = v1::ListDeviceHistoryRequest { tenant, device_id, page_size, page_token };
            let page = operator.list_device_history(request).await?;
            Ok((page.entries, page.next_page_token))
        });
        out.one(&explain(device, trust, &history.await?)?)
    }
}

/// From a device's record, the verdict on it and its history, oldest first.
fn explain(
    device: v1::Device,
    trust: v1::GetDeviceTrustResponse,
    history: &[v1::AuditEntry],
) -> Result<Explanation, Failure> {
    let number_word = word::<v1::Reason>;
    let word = word::<v1::DeviceState>(device.state);
    let state: DeviceState = word.parse().map_err(|_| {
        Failure::Failed(format!(
            "the device's state is {word}, which this version does not know; use one as new as the authority"
        ))
    })?;
    let cause = history.iter().rfind(|entry| brought_about(entry, state));
    let v1::Device { tenant, device_id, state_reason, last_seen, .. } = device;
    let (verdict, meaning, remedy) = match (state.refusal(), trust.verdict()) {
        (Some(code), _) => (v1::Verdict::NotTrusted, code.meaning(), code.remedy()),
        (None, v1::Verdict::Trusted) => (v1::Verdict::Trusted, "The device is in good standing.", ""),
        (None, verdict) => {
            (verdict, "The device is active, and a rule of its trust policy speaks against it.", "")
        }
    };
    let reasons: Vec<_> = trust.reasons.iter().map(|reason| number_word(*reason)).collect();
    let cure = |word: &String| {
        let known = VerdictReason::all().find(|reason| reason.code() == word);
        known.map(|reason| reason.cure().to_owned()).filter(|cure| !cure.is_empty())
    };
    let command = match state {
        DeviceState::Suspended => Some("resume"),
        DeviceState::Quarantined => Some("readmit"),
        _ => None,
    };
    let command =
        command.map(|verb| format!("wardein device {verb} {device_id} --tenant {tenant} --reason TEXT"));
    let also = gate(device.rekey).into_iter().chain(revocations(history)).collect();
    let said =
        |cause: Option<&v1::AuditEntry>, of: fn(&v1::AuditEntry) -> &str| cause.map_or("", of).to_owned();
    Ok(Explanation {
        verdict: verdict.word(),
        cures: reasons.iter().filter_map(cure).collect(),
        reasons,
        valid_until: wire::seconds(trust.valid_until),
        policy: place(trust.policy.as_ref()),
        policy_version: trust.policy.map(|set| set.etag).unwrap_or_default(),
        state: state.to_string(),
        meaning: meaning.to_owned(),
        reason: state_reason,
        since: cause.map_or(0, |entry| wire::seconds(entry.time)),
        by: said(cause, |entry| &entry.actor),
        event: said(cause, |entry| &entry.event),
        request_id: said(cause, |entry| &entry.request_id),
        remedy: remedy.to_owned(),
        command: command.unwrap_or_default(),
        also,
        last_seen: wire::seconds(last_seen),
        tenant,
        device_id,
    })
}

/// Whether the device came into that state by this entry. An enrollment says nothing of the state that it begins.
fn brought_about(entry: &v1::AuditEntry, state: DeviceState) -> bool {
    let changed = field(entry, FieldName::State).filter(|field| field.before.is_some());
    let began = match state {
        DeviceState::Pending => [Event::DeviceEnrolled, Event::TransferAccepted].as_slice(),
        DeviceState::Active => &[Event::KeyEnrolled],
        _ => &[],
    };
    match changed {
        Some(field) => field.value == state.as_str(),
        None => began.iter().any(|event| event.code() == entry.event),
    }
}

fn gate(number: i32) -> Option<String> {
    let words = match v1::RekeyGate::try_from(number) {
        Ok(v1::RekeyGate::Required) => "nothing else is accepted from it before it has rekeyed",
        Ok(v1::RekeyGate::Due) => "it is due to rekey",
        _ => return None,
    };
    Some(words.to_owned())
}

/// Certificates of it that were revoked by hand, and not released since.
fn revocations(history: &[v1::AuditEntry]) -> Vec<String> {
    let mut revoked: Vec<(&str, String)> = Vec::new();
    for entry in history {
        let value = |name| field(entry, name).map_or("", |field| field.value.as_str());
        let serial = value(FieldName::Serial);
        if entry.event == Event::CertificateReleased.code() {
            revoked.retain(|(of, _)| *of != serial);
        } else if entry.event == Event::CertificateRevoked.code() {
            let which = match serial {
                "" => "the certificates that it was issued in a span of time are".to_owned(),
                serial => format!("its certificate {serial} is"),
            };
            let how = match value(FieldName::RevocationReason) {
                "certificate-hold" => "on hold",
                _ => "revoked",
            };
            let (at, by, reason) =
                (time::at_ms(wire::ms(entry.time)), who(&entry.actor), value(FieldName::Reason));
            revoked.retain(|(of, _)| serial.is_empty() || *of != serial);
            revoked.push((serial, format!("{which} {how} since {at}, by {by}: {reason}")));
        }
    }
    revoked.into_iter().map(|(_, words)| words).collect()
}

fn field(entry: &v1::AuditEntry, name: FieldName) -> Option<&v1::AuditField> {
    entry.fields.iter().find(|field| field.name == name.code())
}

/// The actor of an entry in words.
fn who(actor: &str) -> String {
    match actor {
        "system" => "the authority itself".to_owned(),
        actor => actor.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(second: u64, event: Event, fields: &[(FieldName, Option<&str>, &str)]) -> v1::AuditEntry {
        let fields = fields.iter().map(|(name, before, value)| v1::AuditField {
            name: name.code().to_owned(),
            before: before.map(str::to_owned),
            value: (*value).to_owned(),
        });
        v1::AuditEntry {
            time: wire::at(second),
            event: event.code().to_owned(),
            actor: format!("admin/{second}"),
            request_id: format!("r-{second}"),
            fields: fields.collect(),
            ..Default::default()
        }
    }

    fn state(second: u64, before: &str, after: &str) -> v1::AuditEntry {
        entry(second, Event::DeviceStateSet, &[(FieldName::State, Some(before), after)])
    }

    fn judged(reasons: &[v1::Reason]) -> v1::GetDeviceTrustResponse {
        let verdict = if reasons.is_empty() { v1::Verdict::Trusted } else { v1::Verdict::Restricted };
        let set = v1::TrustPolicy { profile: "icu".into(), etag: "00".into(), ..Default::default() };
        v1::GetDeviceTrustResponse {
            verdict: verdict.into(),
            reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
            policy: Some(set),
            ..Default::default()
        }
    }

    fn device(state: v1::DeviceState) -> v1::Device {
        let (tenant, device_id, state_reason) = ("klinik".into(), "pump-1".into(), "lost".into());
        v1::Device { tenant, device_id, state_reason, state: state.into(), ..Default::default() }
    }

    #[test]
    fn the_last_entry_that_led_to_the_state_says_who_and_since_when() {
        let alarm = entry(40, Event::CloneSuspected, &[(FieldName::State, Some("active"), "quarantined")]);
        // A further alarm changes nothing, and names the state all the same.
        let further = entry(50, Event::CloneSuspected, &[(FieldName::State, None, "quarantined")]);
        let history = [
            entry(9, Event::DeviceEnrolled, &[]),
            entry(10, Event::DeviceConfirmed, &[(FieldName::State, Some("pending"), "active")]),
            state(20, "active", "suspended"),
            state(30, "suspended", "active"),
            alarm,
            further,
        ];
        for (of, since, verdict, command) in [
            (v1::DeviceState::Pending, 9, "not-trusted", ""),
            (v1::DeviceState::Active, 30, "trusted", ""),
            (v1::DeviceState::Suspended, 20, "not-trusted", "resume"),
            (v1::DeviceState::Quarantined, 40, "not-trusted", "readmit"),
            (v1::DeviceState::Revoked, 0, "not-trusted", ""),
        ] {
            let told = explain(device(of), judged(&[]), &history).unwrap();
            assert_eq!((told.since, told.verdict.as_str()), (since, verdict), "{of:?}");
            assert_eq!(told.command.split(' ').nth(2).unwrap_or_default(), command, "{of:?}");
            let (by, request) = match since {
                0 => (String::new(), String::new()),
                second => (format!("admin/{second}"), format!("r-{second}")),
            };
            assert_eq!((told.by, told.request_id), (by, request), "{of:?}");
            assert_eq!(told.remedy.is_empty(), of == v1::DeviceState::Active, "{of:?}");
        }
        let unheard = v1::Device { state: 99, ..device(v1::DeviceState::Active) };
        assert!(
            explain(unheard, judged(&[]), &history).is_err(),
            "a state of a later version is none of ours"
        );
    }

    #[test]
    fn a_verdict_by_a_policy_names_its_version_and_what_cures_it() {
        let trust = judged(&[v1::Reason::KeysOld, v1::Reason::Silent]);
        let told = explain(device(v1::DeviceState::Active), trust, &[]).unwrap();
        assert_eq!((told.verdict.as_str(), told.reasons.join(" ")), ("restricted", "keys-old silent".into()));
        assert_eq!((told.policy.as_str(), told.policy_version.as_str()), ("icu", "00"));
        assert_eq!(told.cures, [VerdictReason::KeysOld.cure(), VerdictReason::Silent.cure()]);
        assert!(told.meaning.contains("trust policy") && told.remedy.is_empty());
    }

    #[test]
    fn what_was_revoked_beside_it_is_told_until_it_is_released() {
        let revoke = |second, serial, code| {
            let fields = [
                (FieldName::Serial, None, serial),
                (FieldName::RevocationReason, None, code),
                (FieldName::Reason, None, "lent"),
            ];
            entry(second, Event::CertificateRevoked, &fields[usize::from(serial.is_empty())..])
        };
        let release = entry(30, Event::CertificateReleased, &[(FieldName::Serial, None, "aa")]);
        let history = [
            revoke(10, "aa", "certificate-hold"),
            revoke(20, "bb", "certificate-hold"),
            release,
            revoke(40, "", "superseded"),
            revoke(50, "bb", "key-compromise"),
        ];
        let of = v1::Device { rekey: v1::RekeyGate::Required.into(), ..device(v1::DeviceState::Active) };
        let told = explain(of, judged(&[]), &history).unwrap();
        assert_eq!(
            told.also,
            [
                "nothing else is accepted from it before it has rekeyed",
                "the certificates that it was issued in a span of time are revoked since 1970-01-01T00:00:40Z, by admin/40: lent",
                "its certificate bb is revoked since 1970-01-01T00:00:50Z, by admin/50: lent",
            ]
        );
    }
}
