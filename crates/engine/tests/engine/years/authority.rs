//! The authority, whose process dies now and then, with the operators that act on it.

use super::platform::PLATFORM;
use super::random::Random;
use super::restore::Spent;
use std::collections::BTreeMap;
use std::sync::Arc;
use wardein_crypto::{P256SigningKey, Secret};
use wardein_domain::{Call, LoginNames, Principal, ProfileFields, ProfileName, Right, Role, TenantId};
use wardein_engine::ProfilePut;
use wardein_engine::{Caller, Engine, Error, GrantOrder, OperatorOrder, Ports, found};
use wardein_pki::Csr;
use wardein_testkit::{CrashPoint, MemoryCustody, MemoryStore, TestClock};

pub(crate) struct Authority {
    pub(crate) store: MemoryStore,
    pub(crate) custody: MemoryCustody,
    pub(crate) clock: TestClock,
    pub(crate) engine: Engine,
    pub(crate) admin: Caller,
    operators: BTreeMap<TenantId, Operators>,
    /// How often its process died.
    pub(crate) crashes: u64,
    /// What was spent since the last backup.
    pub(crate) spent: Vec<Spent>,
    /// Whether a device was enrolled again after a restore.
    pub(crate) has_enrolled_again: bool,
    /// Where the process that comes after the next crash dies too.
    crash_again: Option<(u64, CrashPoint)>,
}

/// Of one tenant.
pub(crate) struct Operators {
    pub(crate) station: Caller,
    pub(crate) platform: Caller,
}

impl Authority {
    pub(crate) async fn new(devices: usize) -> Self {
        let (store, clock) = (MemoryStore::new(), TestClock::at(START));
        let custody = MemoryCustody::of(ROOT_KEY);
        let (ports, key) = (ports(&store, &clock, &custody), Secret::copied_from(&ROOT_KEY));
        let founded = found(&ports, key, "wardein.example".parse().unwrap()).await.unwrap();
        let admin = caller(founded.admin);
        let engine = open(&store, &clock, &custody).await;
        let mut operators = BTreeMap::new();
        for tenant in tenants() {
            engine.create_tenant(&admin, tenant.clone()).await.unwrap();
            for (name, period, max_uses) in PROFILES {
                let fields = ProfileFields {
                    period: Some(period),
                    max_uses: Some(max_uses),
                    ..ProfileFields::default()
                };
                let put = ProfilePut::set(fields);
                engine.put_profile(&admin, tenant.clone(), profile(name), put).await.unwrap();
            }
            operators.insert(tenant.clone(), Operators::of(&engine, &admin, &tenant, devices).await);
        }
        let (crashes, crash_again, spent, has_enrolled_again) = (0, None, Vec::new(), false);
        Self {
            store,
            custody,
            clock,
            engine,
            admin,
            operators,
            crashes,
            spent,
            has_enrolled_again,
            crash_again,
        }
    }

    pub(crate) fn of(&self, tenant: &TenantId) -> &Operators {
        &self.operators[tenant]
    }

    /// Lets the process die at one of its next `commits` commits, at any point of it, and now and then the next one too.
    pub(crate) fn crash_soon(&mut self, commits: u64, random: &mut Random) {
        let mut at = || (random.below(commits), point(random));
        let ((nth, point), again) = (at(), at());
        self.store.crash_at(nth, point);
        self.crash_again = random.chance(200).then_some(again);
    }

    /// Calls off a crash that has not come.
    pub(crate) async fn live_on(&mut self) {
        self.store = self.store.restart();
        self.crash_again = None;
        // Nobody follows a store that was restarted.
        self.engine = open(&self.store, &self.clock, &self.custody).await;
    }

    /// Restarts the process if it died, which finishes deeds in progress; whether it had died.
    pub(crate) async fn revive(&mut self) -> bool {
        let mut has_crashed = false;
        while self.store.crashed() || self.custody.crashed() {
            has_crashed = true;
            self.crashes += 1;
            self.store = self.store.restart();
            self.custody.restart();
            if let Some((nth, point)) = self.crash_again.take() {
                self.store.crash_at(nth, point);
            }
            self.engine = open(&self.store, &self.clock, &self.custody).await;
            let resumed = self.engine.resume().await;
            assert!(resumed.is_ok() || self.store.crashed(), "{resumed:?}");
        }
        has_crashed
    }

    /// Asks again and again until no process dies over it: asking twice is safe.
    pub(crate) async fn insist<T>(
        &mut self,
        ask: impl AsyncFn(&Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let answer = ask(self).await;
            if !self.revive().await {
                return answer;
            }
        }
    }
}

impl Operators {
    async fn of(engine: &Engine, admin: &Caller, tenant: &TenantId, devices: usize) -> Self {
        let issue = async |role, name: &str| {
            let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
            let order = OperatorOrder {
                role,
                tenant: Some(tenant.clone()),
                name: name.parse().unwrap(),
                csr: Csr::create(&key).unwrap(),
                validity: 86_400,
                // Each that is readmitted, or enrolled again after a restore, takes another place.
                quota: if role == Role::Station { 100 * devices as u64 } else { 0 },
            };
            let (_, operator) = engine.issue_operator(admin, order).await.unwrap();
            caller(operator.principal)
        };
        let (station, platform) =
            (issue(Role::Station, "line-1").await, issue(Role::Platform, PLATFORM).await);
        for right in [Right::Token, Right::Open] {
            let (tenant, platform) = (tenant.clone(), PLATFORM.parse().unwrap());
            let order = GrantOrder { tenant, platform, right, profile: None };
            engine.add_grant(admin, order, LoginNames::default()).await.unwrap();
        }
        Self { station, platform }
    }
}

/// The first is where devices are enrolled; the others get some of them.
pub(crate) fn tenants() -> impl Iterator<Item = TenantId> {
    TENANTS.iter().map(|name| name.parse().unwrap())
}

pub(crate) fn any_tenant(random: &mut Random) -> TenantId {
    TENANTS[random.below(TENANTS.len() as u64) as usize].parse().unwrap()
}

pub(crate) fn profile(name: &str) -> ProfileName {
    name.parse().unwrap()
}

pub(crate) fn point(random: &mut Random) -> CrashPoint {
    let points = [CrashPoint::BeforeApply, CrashPoint::DurableNotProjected, CrashPoint::AfterApply];
    points[random.below(points.len() as u64) as usize]
}

pub(crate) async fn open(store: &MemoryStore, clock: &TestClock, custody: &MemoryCustody) -> Engine {
    Engine::open(ports(store, clock, custody), custody.root_keys()).await.unwrap()
}

pub(crate) fn ports(store: &MemoryStore, clock: &TestClock, custody: &MemoryCustody) -> Ports {
    Ports { custody: Some(Arc::new(custody.clone())), ..Ports::new(Arc::new(store.clone()), clock.clone()) }
}

pub(crate) fn caller(principal: Principal) -> Caller {
    Caller { principal, call: Call::new("years") }
}

/// Name, seconds in an epoch, keys in an epoch: by time, by use, by both, by neither.
pub(crate) const PROFILES: [(&str, u64, u64); 4] =
    [("default", 3_600, 0), ("by-use", 0, 1), ("both", 86_400, 3), ("neither", 0, 0)];

pub(crate) const START: u64 = 1_790_000_000;
const TENANTS: [&str; 3] = ["klinik", "lab", "home"];
const ROOT_KEY: [u8; 32] = [7; 32];
