//! kill -9 of the server in the middle of every deed that there is: nothing that was acknowledged is lost, nothing is done twice, and
//! the audit log has exactly one entry for each deed that was acknowledged.
//!
//! This process is the witness: it notes what it asks, and what is acknowledged to it (`witness`), while devices (`devices`) and
//! operators (`operators`, `gifts`) work, until the server is killed. Then it starts the server again and compares (`check`).
//! `WARDEIN_KILLS` sets another number of kills for each store than the usual one.

mod check;
mod devices;
mod gifts;
mod nodes;
mod operators;
mod wire;
mod witness;
mod world;

use crate::common::Served;
use futures_util::future::{join, join_all};
use std::time::Duration;
use tokio::time::timeout;
use wardein_client::Refusal;
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_testkit::Postgres;
use witness::Witness;
use world::World;

#[test]
fn kills_lose_nothing_that_was_acknowledged() {
    kill_repeatedly("sqlite", 50);
}

#[test]
fn nor_where_the_store_is_sled() {
    kill_repeatedly("sled", 20);
}

#[test]
fn nor_where_it_is_postgresql() {
    let Some(server) = Postgres::start() else { return };
    kill_with(&crate::postgresql::options(&server), "postgresql", 8);
}

fn kill_repeatedly(store: &str, usual: usize) {
    kill_with(&["--store", store].map(str::to_owned), store, usual);
}

fn kill_with(options: &[String], store: &str, usual: usize) {
    let kills = std::env::var("WARDEIN_KILLS").map_or(usual, |kills| kills.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let mut served = Served::found_with(&options).await;
        let witness = Witness::default();
        // The tenant with which every test begins.
        witness.ask("tenant.create", "tenant/klinik", async { Ok::<_, Refusal>(()) }).await;
        let mut world = World::found(&served, &witness, store, 0).await;
        for kill in 0..kills {
            if kill > 0 && kill % 10 == 0 {
                // So that what goes over a whole tenant does not take longer and longer.
                check::everything(&world, &witness).await;
                world = World::found(&served, &witness, store, kill).await;
            }
            world.begin(kill);
            let devices = join_all((0..DEVICES).map(|stream| devices::live(&world, &witness, stream)));
            let operators =
                join_all((0..operators::STREAMS).map(|stream| operators::work(&world, &witness, stream)));
            let random = u16::from_be_bytes(SystemEntropy::default().array().unwrap());
            // Whatever is under way when the server dies fails in its client.
            let until = Duration::from_millis(30 + u64::from(random) % 500);
            drop(timeout(until, join(devices, operators)).await);
            served.kill();
            served.start().await;
            world.reconnect(&served).await;
            check::after_a_kill(&world, &witness).await;
        }
        check::everything(&world, &witness).await;
        println!("{store}: {kills} kills; {}", witness.summary());
        assert!(witness.acknowledged() as usize > kills, "too little was under way");
    });
}

const DEVICES: usize = 3;
