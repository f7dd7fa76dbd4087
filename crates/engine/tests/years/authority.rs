//! The authority, whose process dies now and then, with the operators that act on it.

use crate::platform::PLATFORM;
use wardein_crypto::{P256SigningKey, Secret};
use wardein_domain::{Principal, ProfileFields, ProfileName, Right, Role, TenantId};
use wardein_engine::{Caller, Engine, GrantOrder, OperatorOrder, found};
use wardein_pki::Csr;
use wardein_testkit::{CrashPoint, MemoryStore, TestClock};

pub(crate) type TestEngine = Engine<MemoryStore, TestClock>;

pub(crate) struct Authority {
    store: MemoryStore,
    pub(crate) clock: TestClock,
    pub(crate) engine: TestEngine,
    pub(crate) admin: Caller,
    pub(crate) station: Caller,
    pub(crate) platform: Caller,
}

impl Authority {
    pub(crate) async fn new(devices: usize) -> Self {
        let (store, clock) = (MemoryStore::new(), TestClock::at(START));
        let founded =
            found(&store, &clock, Secret::copied_from(&ROOT_KEY), "wardein.example".parse().unwrap());
        let admin = caller(founded.await.unwrap().admin);
        let engine = open(store.clone(), clock.clone());
        engine.create_tenant(&admin, tenant()).await.unwrap();
        for (name, period, max_uses) in PROFILES {
            let fields =
                ProfileFields { period: Some(period), max_uses: Some(max_uses), ..ProfileFields::default() };
            engine.put_profile(&admin, tenant(), profile(name), fields, true).await.unwrap();
        }
        let issue = async |role, name: &str| {
            let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
            let order = OperatorOrder {
                role,
                tenant: Some(tenant()),
                name: name.parse().unwrap(),
                csr: Csr::create(&key).unwrap(),
                validity: 86_400,
                quota: if role == Role::Station { devices as u64 } else { 0 },
            };
            let (_, operator) = engine.issue_operator(&admin, order).await.unwrap();
            caller(operator.principal)
        };
        let (station, platform) =
            (issue(Role::Station, "line-1").await, issue(Role::Platform, PLATFORM).await);
        for right in [Right::Token, Right::Open] {
            let (tenant, platform) = (tenant(), PLATFORM.parse().unwrap());
            let order = GrantOrder { tenant, platform, right, profile: None };
            engine.add_grant(&admin, order, None).await.unwrap();
        }
        Self { store, clock, engine, admin, station, platform }
    }

    /// Lets the process die at the next commit.
    pub(crate) fn crash_at_next_commit(&self, is_applied: bool) {
        let point = if is_applied { CrashPoint::AfterApply } else { CrashPoint::BeforeApply };
        self.store.crash_at(0, point);
    }

    /// Starts the process anew if it died; whether it had.
    pub(crate) fn revive(&mut self) -> bool {
        let has_crashed = self.store.crashed();
        self.store = self.store.restart();
        if has_crashed {
            self.engine = open(self.store.clone(), self.clock.clone());
        }
        has_crashed
    }
}

pub(crate) fn tenant() -> TenantId {
    "klinik".parse().unwrap()
}

pub(crate) fn profile(name: &str) -> ProfileName {
    name.parse().unwrap()
}

fn open(store: MemoryStore, clock: TestClock) -> TestEngine {
    Engine::open(store, clock, Secret::copied_from(&ROOT_KEY)).unwrap()
}

fn caller(principal: Principal) -> Caller {
    Caller { principal, request_id: "years".into() }
}

/// Name, seconds in an epoch, keys in an epoch: by time, by use, by both, by neither.
pub(crate) const PROFILES: [(&str, u64, u64); 4] =
    [("default", 3_600, 0), ("by-use", 0, 1), ("both", 86_400, 3), ("neither", 0, 0)];

pub(crate) const START: u64 = 1_790_000_000;
const ROOT_KEY: [u8; 32] = [7; 32];
