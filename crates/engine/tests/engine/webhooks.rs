//! Webhooks: what is kept of them, and how far their receivers were told.

use crate::world::{World, caller, facts, order};
use wardein_crypto::MacKey;
use wardein_domain::{DeviceState, Event, Role};
use wardein_engine::{Caller, Error, ErrorCode, Watched, Webhook, WebhookOrder};
use wardein_port::{Store, Table};

fn hook(name: &str, renew_secret: bool) -> WebhookOrder {
    WebhookOrder {
        tenant: "klinik".parse().unwrap(),
        name: name.parse().unwrap(),
        url: "https://iot.example/hook".parse().unwrap(),
        cas: vec![vec![0x30, 0]],
        renew_secret,
    }
}

/// What the key of the one receiver makes of a message.
async fn tag(world: &World) -> [u8; 32] {
    let receivers = world.engine.receivers().await.unwrap();
    let [one] = &receivers[..] else { panic!("{} receivers", receivers.len()) };
    one.key.tag(b"message").0
}

fn tag_by(secret: &[u8]) -> [u8; 32] {
    MacKey::new(wardein_crypto::Secret::copied_from(secret.try_into().unwrap())).tag(b"message").0
}

async fn suspend(world: &World, id: &str, state: DeviceState) {
    let (name, reason) = (crate::world::name("klinik", id), "test".parse().unwrap());
    world.engine.set_device_state(&world.admin, name, state, reason).await.unwrap();
}

/// The devices of the next change, and the revision that it reached.
async fn told(world: &World, webhook: &Webhook) -> (Vec<String>, Vec<u8>) {
    let mut watch = world.engine.watch_for(webhook).await.unwrap().unwrap();
    loop {
        match watch.next(&world.engine).await.unwrap() {
            Watched::Change { devices, revision, .. } if !devices.is_empty() => {
                return (devices.into_iter().map(|device| device.device.to_string()).collect(), revision);
            }
            Watched::Current => return (Vec::new(), Vec::new()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_secret_is_told_once_and_kept_until_another_is_asked_for() {
    let world = World::new().await;
    let (_, secret) = world.engine.put_webhook(&world.admin, hook("iot", false)).await.unwrap();
    let secret = secret.unwrap();
    assert_eq!(tag(&world).await, tag_by(secret.expose()));
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(32).any(|part| part == secret.expose()), "the secret is stored");
    }
    let moved = WebhookOrder { url: "https://other.example/".parse().unwrap(), ..hook("iot", false) };
    let (webhook, none) = world.engine.put_webhook(&world.admin, moved).await.unwrap();
    assert!(none.is_none() && webhook.url.as_str() == "https://other.example/");
    assert_eq!(tag(&world).await, tag_by(secret.expose()));
    let (_, other) = world.engine.put_webhook(&world.admin, hook("iot", true)).await.unwrap();
    assert_eq!(tag(&world).await, tag_by(other.unwrap().expose()));
    let said: Vec<_> = world.entries(Event::WebhookPut).await.iter().map(facts).collect();
    assert_eq!(said[0], "webhook=iot, url=https://iot.example/hook, secret-renewed=true");
    assert_eq!(said.len(), 3);
}

#[tokio::test]
async fn a_receiver_goes_on_from_where_it_was_over_a_restart() {
    let mut world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        world.proven(id).await;
    }
    let (webhook, _) = world.engine.put_webhook(&world.admin, hook("iot", false)).await.unwrap();
    assert_eq!(told(&world, &webhook).await.0, Vec::<String>::new(), "from now on");
    suspend(&world, "pump-1", DeviceState::Suspended).await;
    let (devices, reached) = told(&world, &webhook).await;
    assert_eq!(devices, ["pump-1"]);
    // Not noted yet: told again, and once what it is by then.
    suspend(&world, "pump-1", DeviceState::Active).await;
    world.restart().await;
    assert_eq!(told(&world, &webhook).await.0, ["pump-1"]);
    world.engine.note_position(&webhook, &reached).await.unwrap();
    let (devices, reached) = told(&world, &webhook).await;
    assert_eq!(devices, ["pump-1"], "it came back");
    world.engine.note_position(&webhook, &reached).await.unwrap();
    suspend(&world, "pump-2", DeviceState::Suspended).await;
    world.restart().await;
    assert_eq!(told(&world, &webhook).await.0, ["pump-2"]);
    // Set again, it goes on as well.
    let (webhook, _) = world.engine.put_webhook(&world.admin, hook("iot", true)).await.unwrap();
    assert_eq!(told(&world, &webhook).await.0, ["pump-2"]);
}

#[tokio::test]
async fn after_a_restore_it_has_lost_the_thread_and_goes_on_from_now() {
    let (world, custody) = World::with_custody().await;
    let (webhook, secret) = world.engine.put_webhook(&world.admin, hook("iot", false)).await.unwrap();
    let backup = world.backup().await;
    world.clock.pass(60);
    let after = world.restored(&backup, &custody).await;
    let lost = after.engine.watch_for(&webhook).await.err().unwrap();
    assert_eq!(lost.code, ErrorCode::RevisionForeign);
    let (_, revision) = after.engine.watch_from_now(&webhook).await.unwrap();
    after.engine.note_position(&webhook, &revision).await.unwrap();
    assert!(after.engine.watch_for(&webhook).await.unwrap().is_some());
    assert_eq!(tag(&after).await, tag_by(secret.unwrap().expose()));
}

#[tokio::test]
async fn one_that_was_removed_leaves_nothing() {
    let world = World::new().await;
    let (webhook, _) = world.engine.put_webhook(&world.admin, hook("iot", false)).await.unwrap();
    let remove = async || -> Result<(), Error> {
        let (tenant, name) = (webhook.tenant.clone(), webhook.name.clone());
        world.engine.remove_webhook(&world.admin, tenant, name, "over".parse().unwrap()).await
    };
    remove().await.unwrap();
    assert_eq!(remove().await.unwrap_err().code, ErrorCode::WebhookUnknown);
    assert!(world.engine.receivers().await.unwrap().is_empty());
    assert!(world.engine.watch_for(&webhook).await.unwrap().is_none());
    // What is under way notes nothing of it.
    world.engine.note_position(&webhook, &[1; 17]).await.unwrap();
    for table in [Table::Webhook, Table::WebhookPosition] {
        assert_eq!(world.store.scan(table, b"", None, 9).await.unwrap(), []);
    }
    assert_eq!(
        facts(&world.entries(Event::WebhookRemoved).await[0]),
        "webhook=iot, url=https://iot.example/hook, reason=over"
    );
}

#[tokio::test]
async fn a_tenant_has_so_many_and_its_administrator_sees_them() {
    let world = World::new().await;
    for number in 0..8 {
        world.engine.put_webhook(&world.admin, hook(&format!("iot-{number}"), false)).await.unwrap();
    }
    let refused = world.engine.put_webhook(&world.admin, hook("iot", false)).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::WebhookQuota);
    world.engine.put_webhook(&world.admin, hook("iot-7", false)).await.expect("it is there already");
    world.engine.create_tenant(&world.admin, "labor".parse().unwrap()).await.unwrap();
    let issued = async |tenant| -> Caller {
        let order = order(Role::TenantAdmin, Some(tenant), "anna");
        caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
    };
    let (own, other) = (issued("klinik").await, issued("labor").await);
    assert_eq!(world.engine.list_webhooks(&own, None).await.unwrap().len(), 8);
    assert_eq!(world.engine.list_webhooks(&other, None).await.unwrap().len(), 0);
    let refused = world.engine.list_webhooks(&other, Some(world.tenant())).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TenantUnknown);
}

#[tokio::test]
async fn a_secret_outlives_the_root_key_that_sealed_it() {
    let (world, _custody) = World::with_custody().await;
    let (_, secret) = world.engine.put_webhook(&world.admin, hook("iot", false)).await.unwrap();
    let before = world.store.scan(Table::Webhook, b"", None, 9).await.unwrap();
    world.engine.rotate_root_key(&world.admin).await.unwrap();
    let after = world.store.scan(Table::Webhook, b"", None, 9).await.unwrap();
    assert_ne!(before[0].1.value, after[0].1.value, "it is sealed again");
    assert_eq!(tag(&world).await, tag_by(secret.unwrap().expose()));
}
