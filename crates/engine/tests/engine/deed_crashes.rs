//! Deeds of several steps: whatever crashes between, each comes to its end, once, and nothing opens that should not.

use crate::deeds::{SLOWLY, Watched, is_shredded};
use crate::world::{CRASH_POINTS, csr};
use wardein_domain::Event;
use wardein_testkit::CrashPoint;

#[tokio::test]
async fn no_crash_leaves_a_shredding_undone() {
    let (mut in_store, mut in_custody) = (0, 0);
    for of_custody in [false, true] {
        for point in CRASH_POINTS {
            for nth in 0.. {
                let mut watched = Watched::new(4).await;
                assert!(watched.opens(), "what is read here is what there is to read");
                if of_custody {
                    watched.custody.crash_at(nth, point);
                } else {
                    watched.world.store.crash_at(nth, point);
                }
                let begun = watched.shred("pump-0", SLOWLY).await;
                let outcome = watched.work().await;
                let has_crashed = watched.world.store.crashed() || watched.custody.crashed();
                assert_eq!(begun.is_err() || outcome.is_err(), has_crashed, "{nth}, {point:?}: {outcome:?}");
                if has_crashed {
                    *(if of_custody { &mut in_custody } else { &mut in_store }) += 1;
                    watched.restart().await;
                    if nth == 0 && !of_custody && point == CrashPoint::BeforeApply {
                        assert!(watched.deeds().await.is_empty(), "it was not begun");
                        watched.shred("pump-0", SLOWLY).await.unwrap();
                    }
                    let is_over = !of_custody && nth == SHRED_COMMITS - 1 && point != CrashPoint::BeforeApply;
                    assert_eq!(watched.deeds().await.is_empty(), is_over, "{nth}, {point:?}");
                    watched.work().await.unwrap();
                } else {
                    // A crash that has not come is called off.
                    watched.restart().await;
                }
                is_shredded(&mut watched, &format!("{nth}, {point:?}, {of_custody}")).await;
                if !has_crashed {
                    break;
                }
            }
        }
    }
    assert_eq!((in_store, in_custody), (3 * SHRED_COMMITS, 3 * 2));
}

/// Begun, the tenant's key, two pages, the old key dropped; the new root key chosen, the authority, its CA and its tenant under it, all of
/// it under it, the old one destroyed; the end.
const SHRED_COMMITS: u64 = 12;

#[tokio::test]
async fn no_crash_leaves_a_change_of_the_root_key_undone() {
    let (mut in_store, mut in_custody) = (0, 0);
    for of_custody in [false, true] {
        for point in CRASH_POINTS {
            for nth in 0.. {
                let mut watched = Watched::new(1).await;
                assert!(watched.opens());
                if of_custody {
                    watched.custody.crash_at(nth, point);
                } else {
                    watched.world.store.crash_at(nth, point);
                }
                let outcome = watched.world.engine.rotate_root_key(&watched.caller("root")).await;
                let has_crashed = watched.world.store.crashed() || watched.custody.crashed();
                assert_eq!(outcome.is_err(), has_crashed, "{nth}, {point:?}: {outcome:?}");
                if has_crashed {
                    *(if of_custody { &mut in_custody } else { &mut in_store }) += 1;
                    watched.restart().await;
                    let is_begun = of_custody || nth > 0 || point != CrashPoint::BeforeApply;
                    watched.world.engine.resume().await.unwrap();
                    if !is_begun {
                        watched.world.engine.rotate_root_key(&watched.caller("root")).await.unwrap();
                    }
                }
                watched.restart().await;
                let at = format!("{nth}, {point:?}, {of_custody}");
                assert_eq!(watched.custody.versions(), [2], "{at}");
                assert!(!watched.opens(), "the tenant's row of before: {at}");
                for words in ["step=begun", "step=complete, key-version=2, destroyed=1"] {
                    let said = watched.said(Event::StorageKeyRotated, words).await;
                    assert_eq!(said.len(), 1, "{words}: {at}");
                    assert_eq!(said[0].origin.is_some(), words == "step=begun", "{words}: {at}");
                    assert_eq!(said[0].request_id, "root");
                }
                let device = &mut watched.devices[0];
                device.prove(&watched.world.engine, "certificate", &csr()).await.unwrap();
                if !has_crashed {
                    break;
                }
            }
        }
    }
    // Begun, the version chosen, the authority, its CA, the tenant, all of it; the end.
    assert_eq!((in_store, in_custody), (3 * 7, 3 * 2));
}
