//! The keys at rest: the root key and the tenant's key are changed, the sweep goes over all devices, and the process dies in
//! between.

use super::authority::{Authority, any_tenant, point};
use super::figures::Figures;
use super::random::Random;
use wardein_engine::{Error, SweepProgress};
use wardein_port::{Store, Table};

pub(crate) async fn tend(authority: &mut Authority, figures: &mut Figures, random: &mut Random) {
    if random.chance(500) {
        authority.crash_soon(8, random);
    } else if random.chance(300) {
        authority.custody.crash_at(0, point(random));
    }
    match random.below(3) {
        0 => {
            figures.count("rotations of the root key");
            let rotated =
                async |authority: &Authority| authority.engine.rotate_root_key(&authority.admin).await;
            let version = authority.insist(rotated).await.unwrap();
            if authority.custody.versions() != [version] {
                figures.wrong(format!(
                    "custody keeps versions {:?} of the root key",
                    authority.custody.versions()
                ));
            }
        }
        1 => {
            let tenant = any_tenant(random);
            let rotated = async |authority: &Authority| {
                authority.engine.rotate_tenant_key(&authority.admin, tenant.clone()).await
            };
            match authority.insist(rotated).await {
                Ok(_) => figures.count("rotations of the tenant's key"),
                Err(error) if error.code.as_str() == "sweep-first" => sweep(authority, figures).await,
                Err(error) => figures.wrong(format!("the tenant's key: {error}")),
            }
        }
        _ => sweep(authority, figures).await,
    }
    // What did not come in this is not to come at another custody's call.
    authority.custody.restart();
}

/// A sweep to its end, started over whenever the process dies during it.
async fn sweep(authority: &mut Authority, figures: &mut Figures) {
    figures.count("sweeps");
    let progress = authority.insist(async |authority| sweep_once(authority).await).await.unwrap();
    if !progress.has_clock {
        figures.count("sweeps that erased nothing, as the clock was in doubt");
    }
    figures.add("records that a sweep erased something of", progress.erased);
    figures.add("records that a sweep sealed under a newer key", progress.renewed);
    let rows = authority.store.scan(Table::DeviceKeys, b"", None, usize::MAX).await.unwrap();
    // Each tenant has a key of its own.
    let of = |key: &[u8]| key.split(|byte| *byte == 0).next().unwrap().to_vec();
    let mut versions: Vec<_> = rows.iter().map(|(key, row)| (of(key), row.value[1..5].to_vec())).collect();
    versions.dedup();
    if !versions.is_sorted_by(|a, b| a.0 < b.0) {
        figures.wrong(format!("after a sweep records are under versions {versions:?}"));
    }
}

async fn sweep_once(authority: &Authority) -> Result<SweepProgress, Error> {
    let mut sweep = authority.engine.begin_sweep(None, None).await?;
    loop {
        let progress = authority.engine.sweep_some(&mut sweep, 1_000).await?;
        if progress.is_done {
            return Ok(progress);
        }
    }
}
