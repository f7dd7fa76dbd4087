//! How long a page of `device list`, `audit list` and `device history` takes, beside so many devices and entries of the audit log.

use crate::{BATCH, ID, TENANT};
use std::ops::Range;
use std::time::{Duration, Instant};
use wardein_ddkg::DeviceName;
use wardein_domain::{DeviceId, DeviceState, TenantId};
use wardein_engine::{AuditFilter, Caller, DeviceFilter, Engine, Error, Page};
use wardein_port::{Change, Clock, Indexed, Numbered, Store, SystemClock};
use wardein_testkit::{block_on, commit};

/// Puts so many entries on record, [`APART_MS`] apart and the last of them now. They are copies of the one about the device that was enrolled,
/// and about each of `devices` in turn; each is found under its tenant and its device.
pub(crate) fn fill(store: &dyn Store, entries: u64, devices: usize) {
    let all = block_on(store.audit(1, 1_000)).unwrap();
    let has_id = |entry: &[u8]| entry.windows(ID.len()).any(|text| text == ID.as_bytes());
    let (_, template) = all.into_iter().rfind(|(_, entry)| has_id(entry)).unwrap();
    let now = SystemClock.wall_ms();
    for first in (0..entries).step_by(BATCH) {
        let mut change = Change::default();
        for (place, number) in (first..entries.min(first + BATCH as u64)).enumerate() {
            let id = id(usize::try_from(number).unwrap() % devices);
            change.audit.push(copied(&template, now - (entries - number) * APART_MS, &id));
            for key in [TENANT.as_bytes().to_vec(), format!("{TENANT}\0{id}").into_bytes()] {
                change.index.push(Indexed { key, entry: Numbered::Here(place) });
            }
        }
        block_on(commit(store, change)).unwrap();
    }
}

/// An entry at another time and about another device. A row begins with its format and the time in milliseconds, as postcard writes it.
fn copied(template: &[u8], time_ms: u64, id: &str) -> Vec<u8> {
    let mut time = [0; 6];
    for (place, byte) in time.iter_mut().enumerate() {
        let bits = u8::try_from(time_ms >> (7 * place) & 0x7f).unwrap();
        *byte = if place < 5 { bits | 0x80 } else { bits };
    }
    let mut entry = template.to_vec();
    entry[1..7].copy_from_slice(&time);
    let places: Vec<_> =
        (0..entry.len() - ID.len()).filter(|at| entry[*at..].starts_with(ID.as_bytes())).collect();
    for at in places {
        entry[at..at + ID.len()].copy_from_slice(id.as_bytes());
    }
    entry
}

/// The id of a device, as long as that of the one that was enrolled.
pub(crate) fn id(number: usize) -> String {
    format!("pump-{number:07}")
}

/// The first devices of a page, and some behind it.
const PAGES: usize = 1_002;

/// The devices on the pages that are asked for, by number.
pub(crate) fn listed(devices: usize) -> Vec<Range<usize>> {
    // Of few devices the pages in the middle begin behind the first ones: none is on both.
    [0, (devices / 2).max(PAGES)].map(|first| first..devices.min(first + PAGES)).into()
}

/// Asks for pages, each a few times, and prints the slowest of each.
pub(crate) fn ask(engine: &Engine, admin: &Caller, devices: usize, entries: u64) {
    let tenant: TenantId = TENANT.parse().unwrap();
    let device = |number| -> DeviceId { id(number).parse().unwrap() };
    let after = |number| Some(format!("{TENANT}\0{}", id(number)).into_bytes());
    let now = SystemClock.wall_ms();
    let list = |what: &str, filter: &DeviceFilter, after: Option<Vec<u8>>| {
        measure(what, async || {
            let page = Page { size: 1_000, after: after.clone() };
            let found = engine.list_devices(admin, tenant.clone(), filter, page).await?;
            Ok(found.items.len())
        });
    };
    let all = DeviceFilter::default();
    list("device list", &all, None);
    list("device list, in the middle", &all, after(devices / 2));
    list(
        "device list --state suspended",
        &DeviceFilter { state: Some(DeviceState::Suspended), ..all.clone() },
        None,
    );
    let since = DeviceFilter { enrolled_after: Some(now / 1_000 + 3_600), ..all.clone() };
    list("device list --enrolled-since", &since, None);
    list("device list --silent-for", &DeviceFilter { seen_before: Some(1), ..all.clone() }, None);

    let of_tenant = AuditFilter { tenant: Some(tenant.clone()), ..AuditFilter::default() };
    let of_device = AuditFilter { device: Some(device(devices / 2)), ..of_tenant.clone() };
    let middle = Some(now - entries / 2 * APART_MS);
    let audit = |what: &str, filter: &AuditFilter, from: u64| {
        measure(what, async || Ok(engine.list_audit(admin, filter.clone(), from, 1_000).await?.0.len()));
    };
    audit("audit list", &AuditFilter::default(), 0);
    audit("audit list --tenant", &of_tenant, 0);
    audit("audit list --tenant --from, in the middle", &of_tenant, entries / 2);
    audit(
        "audit list --tenant --since, in the middle",
        &AuditFilter { since_ms: middle, ..of_tenant.clone() },
        0,
    );
    audit(
        "audit list --tenant --since 1h",
        &AuditFilter { since_ms: Some(now - 3_600_000), ..of_tenant.clone() },
        0,
    );
    audit(
        "audit list --tenant --actor nobody",
        &AuditFilter { actor: Some("nobody".to_owned()), ..of_tenant },
        0,
    );
    audit("audit list --device", &of_device, 0);
    audit("audit list --device --since, in the middle", &AuditFilter { since_ms: middle, ..of_device }, 0);
    let name = DeviceName { tenant: tenant.clone(), device: device(devices / 2) };
    measure("device history", async || {
        Ok(engine.device_history(admin, &name, Page { size: 1_000, after: None }).await?.items.len())
    });
}

/// Prints how long a page took at most. The first time is with the disk's cache as it is.
fn measure(what: &str, page: impl AsyncFn() -> Result<usize, Error>) {
    let (mut slowest, mut items) = (Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        items = block_on(page()).unwrap();
        slowest = slowest.max(began.elapsed());
    }
    println!("{what}: {items} in {:.1} ms", slowest.as_secs_f64() * 1_000.0);
    assert!(slowest < BAR, "the bar: {BAR:?} a page");
}

/// Milliseconds between two entries: ten million are of eleven days. The authority takes a clock that is 40 days ahead for wrong.
pub(crate) const APART_MS: u64 = 100;

const ROUNDS: usize = 5;

/// What a page may take.
const BAR: Duration = Duration::from_millis(200);
