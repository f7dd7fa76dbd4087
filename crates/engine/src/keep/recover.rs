//! Making an administrator while nobody serves the authority: for when none is left, or none is trusted.
//!
//! It takes what starting the service takes, the store and the root key. The administrator is not on record before its files are
//! durable, which are the caller's to write between the two steps. Where the CA's key is in another process, what it signs is on
//! record before, and is abandoned if nothing comes of it.

use crate::access::operators::{MAX_VALIDITY, MIN_VALIDITY, Operator, each_operator};
use crate::issue::authority::Authority;
use crate::issue::cas::published;
use crate::keep::clock::stored_clock;
use crate::keep::found::{Founded, NewAdministrator, Offline, commit};
use crate::keep::migrate::require_format;
use crate::kernel::record::{self, Recording, hex};
use crate::kernel::{Draw, Error, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{self, AUTHORITY, AuthorityRow};
use wardein_crypto::Digest;
use wardein_domain::{Actor, Call, Event, FieldName, Outcome, Role, Target};
use wardein_port::{Change, CommitError, RootKey, Table};

/// An administrator that is certified and not on record yet.
pub struct Recovery {
    /// The administrator with its key and certificate, and the certificates of the authority.
    pub files: Founded,
    change: Change,
}

impl Recovery {
    /// Certifies an administrator for `lifetime` seconds. It is named `recovered-`, the Unix second and two random bytes.
    pub async fn begin(
        ports: &Ports,
        root_keys: impl IntoIterator<Item = RootKey>,
        lifetime: u64,
    ) -> Result<Self, Error> {
        if !(MIN_VALIDITY..=MAX_VALIDITY).contains(&lifetime) {
            let message =
                format_args!("validity is {lifetime}; it takes {MIN_VALIDITY} to {MAX_VALIDITY} seconds");
            return Err(Error::invalid(message));
        }
        require_format(ports).await?;
        let root = Keyring::of(root_keys).ok_or_else(|| Error::internal("custody keeps no root key"))?;
        let (_, row): (_, AuthorityRow) =
            rows::load(&*ports.store, Table::Authority, AUTHORITY).await?.ok_or_else(Error::not_founded)?;
        let authority = Authority::open(&root, &row)?;
        let infrastructure = row.open_infrastructure(&root, &*ports.signers)?;
        let (clock, mut draw, mut change) =
            (stored_clock(ports).await?, Draw::new(&*ports.entropy), Change::default());
        let (now_ms, wall) = (clock.now_ms(), clock.reading().wall.seconds().get());
        // Where the time is held, the next one is made in the same second.
        let name = format!("recovered-{}-{}", now_ms / 1000, hex(&draw.public::<2>()?));
        let name = name.parse().map_err(Error::internal)?;
        let mut offline = Offline::new(&*ports.store, now_ms / 1000, wall);
        let administrator = NewAdministrator { name, lifetime };
        let administrator =
            administrator.certify(&infrastructure, &mut draw, &mut offline, &mut change).await?;
        offline.end(&mut change);
        let (principal, outcome) = (&administrator.principal, Outcome::Done);
        let (event, target) = (Event::AdministratorRecovered, Target::Operator(principal.serial));
        let entry = record::entry(now_ms, Actor::Owner, event, target, outcome, &Call::default())
            .with(FieldName::Operator, Actor::from(principal))
            .with(FieldName::NotAfter, administrator.validity.not_after())
            .with(FieldName::Certificate, hex(&Digest::of(&administrator.der).0));
        change.record(&entry)?;
        let (ders, published) =
            ([&row.root_der[..], &row.infrastructure_der], published(&*ports.store, &row).await?);
        let files = Founded::new(ders, published, authority.identity.verifying_key().0, administrator)?;
        Ok(Self { files, change })
    }

    /// Puts it on record, with an audit entry: from then on it may call.
    pub async fn finish(self, ports: &Ports) -> Result<(), CommitError> {
        commit(&*ports.store, self.change).await.map(|_| ())
    }
}

/// The administrators that may call now or later, read from the rows: what can be asked where nobody serves and no key is at hand.
pub async fn administrators(ports: &Ports) -> Result<Vec<Operator>, Error> {
    require_format(ports).await?;
    let now = stored_clock(ports).await?.latest();
    let mut found = Vec::new();
    each_operator(&*ports.store, |serial, row| {
        if row.role == Role::Admin && row.is_valid(now) {
            found.push(row.operator(serial, 0));
        }
    })
    .await?;
    Ok(found)
}
