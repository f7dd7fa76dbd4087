//! Two years of a fleet whose days are bad: messages are lost, delayed and repeated, power is cut before and after every write at
//! either end, devices lie switched off for months, their clocks are wrong by up to ten years, so is the authority's for days at a time, states are copied, and somebody
//! rotates and changes schedules at every level all the time, the root key and the tenants' among them. Tenants give each other their devices. The authority's process
//! dies some 250 times a year, however many devices there are, and more often while its own keys are changed.
//!
//! What must hold: no honest device is ever locked out, no key is used twice, no honest device is taken for a clone, and every
//! clone that speaks is found; no device is ever trusted by two tenants, or by none.
//!
//! `cargo test -p wardein-engine --test engine years::` runs a small fleet. The whole one, with its figures:
//! `WARDEIN_YEARS_DEVICES=10000 cargo test --release -p wardein-engine --test engine years:: -- --nocapture`

mod administration;
mod authority;
mod clock;
mod contact;
mod device;
mod figures;
mod gifts;
mod platform;
mod random;
mod restore;
mod run;
mod upkeep;

/// The same where the authority is lost every few months, and goes on from a copy that is some days old. Devices that had agreed
/// on keys since are told so, and enroll again; nobody else loses anything.
#[test]
fn two_years_of_a_fleet_whose_authority_is_restored() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut run = runtime.block_on(run::Run::new(SMALL / 2, 2));
    run.is_restored = true;
    let figures = run.two_years(&runtime);
    println!("{figures}");
    figures.judge();
    for must in [
        "restores from an old copy",
        "spent keys shown again to a restored authority",
        "devices enrolled again",
    ] {
        assert!(figures.counts.contains_key(must), "there was no {must}");
    }
}

#[test]
fn two_years_of_a_fleet() {
    let devices = std::env::var("WARDEIN_YEARS_DEVICES").map_or(SMALL, |text| text.parse().unwrap());
    let seed = std::env::var("WARDEIN_YEARS_SEED").map_or(1, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let figures = runtime.block_on(run::Run::new(devices, seed)).two_years(&runtime);
    println!("{figures}");
    figures.judge();
}

const SMALL: usize = 40;
