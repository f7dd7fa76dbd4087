//! Webhooks: who is told of verdicts by being called. What they are, and how far each receiver was told; calling is for the edge.

use crate::access::operators::Issuer;
use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Stop, Tx};
use crate::rows::{
    self, IssuerRow, WebhookPositionRow, WebhookRow, WebhookSecrets, parse_webhook_key, webhook_key,
    webhook_place,
};
use crate::trust::watch::{Watch, WatchFrom};
use wardein_crypto::{ED25519_KEY_LEN, Ed25519SigningKey, MacKey, SecretBytes};
use wardein_domain::{
    ErrorCode, Event, FieldName, Outcome, Reason, Target, TenantId, WebhookName, WebhookUrl,
};
use wardein_port::{Change, Table};

/// A webhook to be set.
#[derive(Debug, Clone)]
pub struct WebhookOrder {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: WebhookName,
    /// Where to post.
    pub url: WebhookUrl,
    /// The certificates of the CAs to believe there, DER: 1 to [`WebhookOrder::MAX_CAS`].
    pub cas: Vec<Vec<u8>>,
    /// Whether to make another secret, and another key that signs.
    pub renew_secret: bool,
}

/// A webhook on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: WebhookName,
    /// Where to post.
    pub url: WebhookUrl,
    /// Unix seconds at which it was set.
    pub set_at: u64,
    /// Who set it.
    pub by: Issuer,
    /// The public half of the key that signs its messages, by Ed25519.
    pub public_key: [u8; ED25519_KEY_LEN],
}

/// What is needed to call one.
pub struct Receiver {
    /// What is on record.
    pub webhook: Webhook,
    /// Rises when it is set again.
    pub version: u64,
    /// Whom to believe there, DER.
    pub cas: Vec<Vec<u8>>,
    /// What messages are authenticated with.
    pub key: MacKey,
    /// What they are signed by.
    pub signing: Ed25519SigningKey,
}

impl WebhookOrder {
    /// The most certificates of CAs.
    pub const MAX_CAS: usize = 8;
}

impl Engine {
    /// Sets a webhook. Its secret, if one was made. A new one is told what changes from now on.
    pub async fn put_webhook(
        &self,
        caller: &Caller,
        order: WebhookOrder,
    ) -> Result<(Webhook, Option<SecretBytes>), Error> {
        let WebhookOrder { tenant, name, url, cas, renew_secret } = &order;
        self.require_tenant(caller, tenant)?;
        let prefix = rows::tenant_prefix(tenant);
        let others = self.store.scan(Table::Webhook, &prefix, None, MAX_OF_TENANT + 1).await?;
        let key = webhook_key(tenant, name);
        // Two that are set at one time may both be the last one: a bound on work, and not on what is right.
        if others.iter().filter(|(other, _)| *other != key).count() >= MAX_OF_TENANT {
            let message = format_args!(
                "tenant {tenant} has {MAX_OF_TENANT} webhooks already; remove one that is not needed"
            );
            return Err(Error::new(ErrorCode::WebhookQuota, message));
        }
        self.transact_by(caller, |tx| {
            let found: Option<(u64, WebhookRow)> = tx.row(Table::Webhook, &key)?;
            let mut change = Change::default();
            let (version, kept) = found.map_or((None, None), |(version, row)| (Some(version), Some(row)));
            let (secrets, sealed, secret) = match &kept {
                Some(row) if !renew_secret => (self.open_webhook(&key, row)?, row.secret.clone(), None),
                _ => {
                    let made = WebhookSecrets { secret: tx.draw().hidden()?, seed: tx.draw().hidden()? };
                    let column = made.write();
                    let sealed = self.root.ring().seal(tx.nonce()?, webhook_place(&key), column.expose())?;
                    let mut told = SecretBytes::with_capacity(32);
                    told.extend(made.secret.expose());
                    (made, sealed, Some(told))
                }
            };
            if version.is_none() {
                let position = WebhookPositionRow { revision: self.incarnation.wire(self.memory.revision()) };
                let position = rows::encode(&position)?;
                // One of another that was removed may be there.
                let before: Option<(u64, WebhookPositionRow)> = tx.row(Table::WebhookPosition, &key)?;
                change.put(Table::WebhookPosition, key.clone(), before.map(|(version, _)| version), position);
            }
            let row = WebhookRow {
                url: url.clone(),
                cas: cas.clone(),
                secret: sealed,
                set_at: self.time(),
                by: IssuerRow { serial: caller.principal.serial, name: caller.principal.to_string() },
            };
            change.put(Table::Webhook, key.clone(), version, rows::encode(&row)?);
            let entry = self
                .entry(caller, Event::WebhookPut, Target::Tenant(tenant.clone()), Outcome::Done)
                .in_tenant(tenant)
                .with(FieldName::Webhook, name.as_str());
            let entry = match &kept {
                Some(before) => entry.changed(FieldName::Url, before.url.as_str(), url.as_str()),
                None => entry.with(FieldName::Url, url.as_str()),
            };
            change.record(&entry.with(FieldName::SecretRenewed, secret.is_some()))?;
            let webhook = row.webhook(tenant, name, &secrets);
            Ok(Decision::new(change, (webhook, secret)))
        })
        .await
    }

    /// The webhooks of a tenant; without one, of all that the caller may see.
    pub async fn list_webhooks(
        &self,
        caller: &Caller,
        tenant: Option<TenantId>,
    ) -> Result<Vec<Webhook>, Error> {
        let tenant = self.visible_tenant(caller, tenant)?;
        let prefix = tenant.as_ref().map(rows::tenant_prefix).unwrap_or_default();
        let look = |_, tenant: TenantId, name: WebhookName, row: WebhookRow| {
            let secrets = self.open_webhook(&webhook_key(&tenant, &name), &row)?;
            Ok(row.webhook(&tenant, &name, &secrets))
        };
        self.each_webhook(&prefix, look).await
    }

    /// Removes a webhook.
    pub async fn remove_webhook(
        &self,
        caller: &Caller,
        tenant: TenantId,
        name: WebhookName,
        reason: Reason,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &tenant)?;
        let key = webhook_key(&tenant, &name);
        self.transact_by(caller, |tx| {
            let (version, row) = stored(tx, &tenant, &name)?;
            let mut change = Change::default();
            change.delete(Table::Webhook, key.clone(), version);
            if let Some(position) = tx.get(Table::WebhookPosition, &key)? {
                change.delete(Table::WebhookPosition, key.clone(), position.version);
            }
            let entry = self
                .entry(caller, Event::WebhookRemoved, Target::Tenant(tenant.clone()), Outcome::Done)
                .in_tenant(&tenant)
                .with(FieldName::Webhook, name.as_str())
                .with(FieldName::Url, row.url.as_str())
                .with(FieldName::Reason, &reason);
            change.record(&entry)?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// What is needed to call a webhook that the caller names.
    pub async fn receiver(
        &self,
        caller: &Caller,
        tenant: &TenantId,
        name: &WebhookName,
    ) -> Result<Receiver, Error> {
        self.require_tenant(caller, tenant)?;
        let (version, row) = self.look(|tx| stored(tx, tenant, name)).await?;
        self.opened(version, tenant, name, row)
    }

    /// What is needed to call all of them.
    pub async fn receivers(&self) -> Result<Vec<Receiver>, Error> {
        self.each_webhook(b"", |version, tenant, name, row| self.opened(version, &tenant, &name, row)).await
    }

    /// Watches for a webhook, from where its receiver was told everything. None where it was removed.
    pub async fn watch_for(&self, webhook: &Webhook) -> Result<Option<Watch>, Error> {
        let key = webhook_key(&webhook.tenant, &webhook.name);
        let found: Option<(u64, WebhookPositionRow)> =
            rows::load(&*self.store, Table::WebhookPosition, &key).await?;
        let Some((_, position)) = found else { return Ok(None) };
        self.watch_tenant(&webhook.tenant, None, WatchFrom::Revision(position.revision)).await.map(Some)
    }

    /// Watches for a webhook from now on, where what its receiver was told before cannot be gone on from; and the revision of now.
    pub async fn watch_from_now(&self, webhook: &Webhook) -> Result<(Watch, Vec<u8>), Error> {
        let revision = self.incarnation.wire(self.memory.revision());
        let watch = self.watch_tenant(&webhook.tenant, None, WatchFrom::Revision(revision.clone())).await?;
        Ok((watch, revision))
    }

    /// Notes how far a receiver was told. Nothing is noted of a webhook that was removed.
    pub async fn note_position(&self, webhook: &Webhook, revision: &[u8]) -> Result<(), Error> {
        let key = webhook_key(&webhook.tenant, &webhook.name);
        self.transact(|tx| {
            let mut change = Change::default();
            let found: Option<(u64, WebhookPositionRow)> = tx.row(Table::WebhookPosition, &key)?;
            let Some((version, before)) = found else { return Ok(Decision::unchanged(())) };
            let after = WebhookPositionRow { revision: revision.to_vec() };
            if after != before {
                change.update(Table::WebhookPosition, key.clone(), version, rows::encode(&after)?);
            }
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// Seals the secrets of webhooks under the newest version of the root key.
    pub(crate) async fn renew_webhooks(&self) -> Result<(), Error> {
        let names = self.each_webhook(b"", |_, tenant, name, _| Ok((tenant, name))).await?;
        for (tenant, name) in names {
            let key = webhook_key(&tenant, &name);
            self.transact(|tx| {
                let mut change = Change::default();
                let found: Option<(u64, WebhookRow)> = tx.row(Table::Webhook, &key)?;
                let Some((version, mut row)) = found else { return Ok(Decision::unchanged(())) };
                if let Some(sealed) = self.root.ring().renew(tx.nonce()?, webhook_place(&key), &row.secret)? {
                    row.secret = sealed;
                    change.update(Table::Webhook, key.clone(), version, rows::encode(&row)?);
                }
                Ok(Decision::new(change, ()))
            })
            .await?;
        }
        Ok(())
    }

    fn opened(
        &self,
        version: u64,
        tenant: &TenantId,
        name: &WebhookName,
        row: WebhookRow,
    ) -> Result<Receiver, Error> {
        let secrets = self.open_webhook(&webhook_key(tenant, name), &row)?;
        let webhook = row.webhook(tenant, name, &secrets);
        let signing = Ed25519SigningKey::from_seed(&secrets.seed);
        Ok(Receiver { webhook, version, cas: row.cas, key: MacKey::new(secrets.secret), signing })
    }

    fn open_webhook(&self, key: &[u8], row: &WebhookRow) -> Result<WebhookSecrets, Error> {
        let opened = self.root.ring().open(webhook_place(key), &row.secret)?;
        WebhookSecrets::read(opened.expose())
    }

    async fn each_webhook<T>(
        &self,
        prefix: &[u8],
        mut look: impl FnMut(u64, TenantId, WebhookName, WebhookRow) -> Result<T, Error> + Send,
    ) -> Result<Vec<T>, Error> {
        let (mut all, mut after): (Vec<T>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let page = self.store.scan(Table::Webhook, prefix, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after = Some(last.clone());
            for (key, row) in page {
                let (tenant, name) = parse_webhook_key(&key)?;
                all.push(look(row.version, tenant, name, rows::decode(Table::Webhook, &row.value)?)?);
            }
        }
    }
}

impl WebhookRow {
    fn webhook(&self, tenant: &TenantId, name: &WebhookName, secrets: &WebhookSecrets) -> Webhook {
        Webhook {
            tenant: tenant.clone(),
            name: name.clone(),
            url: self.url.clone(),
            set_at: self.set_at.get(),
            by: Issuer { serial: self.by.serial, name: self.by.name.clone() },
            public_key: Ed25519SigningKey::from_seed(&secrets.seed).verifying_key(),
        }
    }
}

fn stored(tx: &Tx<'_>, tenant: &TenantId, name: &WebhookName) -> Result<(u64, WebhookRow), Stop> {
    tx.row(Table::Webhook, &webhook_key(tenant, name))?.ok_or_else(|| {
        let message = format_args!("tenant {tenant} has no webhook {name}");
        Error::new(ErrorCode::WebhookUnknown, message).into()
    })
}

/// The most webhooks of a tenant.
const MAX_OF_TENANT: usize = 8;

/// Rows that are read at a time.
const PAGE: usize = 256;
