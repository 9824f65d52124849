//! Webhooks: where a tenant's services are told of what happens, and of what. Their secrets are sealed.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
};
use uuid::Uuid;
use wxgate_crypto::{Place, WebhookSecret};
use wxgate_domain::webhook::{MAX_OVERLAP, MOST};
use wxgate_domain::{EventKinds, TenantId, Timestamp, Webhook, WebhookId, WebhookStatus, WebhookUrl};

use crate::changes::ChangeKind;
use crate::entity::{delivery, webhook, webhook_turn};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// The two columns of secrets.
pub(crate) const CURRENT: &str = "secret";
pub(crate) const PREVIOUS: &str = "previous_secret";

pub(crate) fn of_row(row: &webhook::Model) -> Result<Webhook, StorageError> {
    let inconsistent = |column| StorageError::inconsistent("webhook", column);
    Ok(Webhook {
        id: row.id.into(),
        tenant: row.tenant_id.into(),
        name: row.name.clone(),
        url: row.url.parse().map_err(|_| inconsistent("url"))?,
        events: events_of(&row.events)?,
        status: WebhookStatus::from_word(&row.status).ok_or_else(|| inconsistent("status"))?,
        previous_until: row.previous_until.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.created_at),
    })
}

fn events_of(text: &str) -> Result<EventKinds, StorageError> {
    serde_json::from_str(text).map_err(|_| StorageError::inconsistent("webhook", "events"))
}

fn events_to_text(events: EventKinds) -> String {
    serde_json::Value::from(events.words()).to_string()
}

/// Where a secret of a webhook is sealed.
pub(crate) fn secret_place<'a>(tenant: TenantId, column: &'static str, webhook: &'a [u8]) -> Place<'a> {
    Place { tenant: tenant.uuid(), table: "webhook", column, row: webhook }
}

/// All that a tenant's webhooks want to be told of.
pub(crate) async fn wanted<C: ConnectionTrait>(db: &C, tenant: TenantId) -> Result<EventKinds, StorageError> {
    let rows = enabled(tenant).into_tuple().all(db).await?;
    Ok(kinds(rows)?.into_iter().fold(EventKinds::default(), |all, (_, kinds)| all.or(kinds)))
}

/// The enabled webhooks, and what each wants. They stay as they are until the transaction ends.
pub(crate) async fn listening(
    tx: &DatabaseTransaction,
    tenant: TenantId,
) -> Result<Vec<(WebhookId, EventKinds)>, StorageError> {
    kinds(enabled(tenant).lock_shared().into_tuple().all(tx).await?)
}

fn enabled(tenant: TenantId) -> sea_orm::Select<webhook::Entity> {
    of_tenant::<webhook::Entity>(tenant)
        .select_only()
        .columns([webhook::Column::Id, webhook::Column::Events])
        .filter(webhook::Column::Status.eq(WebhookStatus::Enabled.as_str()))
        .order_by_asc(webhook::Column::Id)
}

fn kinds(rows: Vec<(Uuid, String)>) -> Result<Vec<(WebhookId, EventKinds)>, StorageError> {
    rows.into_iter().map(|(id, events)| Ok((id.into(), events_of(&events)?))).collect()
}

/// The webhooks of all tenants, by id.
#[derive(Clone, Debug)]
pub struct AllWebhooks(Storage);

impl AllWebhooks {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The webhook of this id, for operators, who know ids and not always tenants.
    ///
    /// # Errors
    /// The database fails.
    pub async fn find(&self, id: WebhookId) -> Result<Option<Webhook>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "our ids are unique among all tenants")]
        let query = || webhook::Entity::find_by_id(id.uuid());
        let row = self.0.core.read(|db| async move { query().one(&db).await }).await?;
        row.as_ref().map(of_row).transpose()
    }

    /// Whether this is the secret of a webhook of a tenant.
    ///
    /// # Errors
    /// The database fails, or the secret does not open.
    pub async fn has_secret(
        &self,
        tenant: TenantId,
        id: WebhookId,
        secret: &WebhookSecret,
    ) -> Result<bool, StorageError> {
        let core = &self.0.core;
        let by_id = || of_tenant::<webhook::Entity>(tenant).filter(webhook::Column::Id.eq(id.uuid()));
        let Some(row) = core.read(|db| async move { by_id().one(&db).await }).await? else { return Ok(false) };
        let keys = core.keys_with(tenant, wxgate_crypto::Sealed::parse(row.secret.clone())?.key_id()).await?;
        Ok(open_secret(&keys, tenant, (CURRENT, id), row.secret)? == *secret)
    }

    /// At most `limit` webhooks, of one tenant or of all, by id, after this one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn page(
        &self,
        tenant: Option<TenantId>,
        after: Option<WebhookId>,
        limit: u64,
    ) -> Result<Vec<Webhook>, StorageError> {
        #[expect(clippy::disallowed_methods, reason = "the operator sees all tenants")]
        let mut query = tenant.map_or_else(webhook::Entity::find, of_tenant::<webhook::Entity>);
        if let Some(after) = after {
            query = query.filter(webhook::Column::Id.gt(after.uuid()));
        }
        let query = &query.order_by_asc(webhook::Column::Id).limit(limit);
        let rows = self.0.core.read(|db| async move { query.clone().all(&db).await }).await?;
        rows.iter().map(of_row).collect()
    }
}

/// What a webhook is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// Where to.
    pub url: WebhookUrl,
    /// Of what.
    pub events: EventKinds,
    /// Whether it is told of anything.
    pub status: WebhookStatus,
}

/// Writes about the webhooks of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxWebhooks<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxWebhooks<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Adds a webhook with this secret, or with one that is made; it is told here and never again. On other nodes logins
    /// tell it of what happens a quarter of a second later.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] (`uq_webhook_tenant_id_name`) if the tenant has one of this name,
    /// [`StorageError::Full`] if it has twenty.
    pub async fn add(
        &self,
        new: NewWebhook,
        secret: Option<WebhookSecret>,
    ) -> Result<(Webhook, WebhookSecret), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        if of_tenant::<webhook::Entity>(self.tenant).count(tx).await? >= MOST {
            return Err(StorageError::Full { table: "webhook" });
        }
        let secret = secret.unwrap_or_else(|| WebhookSecret::generate(&core.random));
        let now = core.clock.now();
        let id = WebhookId::new(now, &core.random);
        let NewWebhook { name, url, events, status } = new;
        let row = webhook::Model {
            id: id.uuid(),
            tenant_id: self.tenant.uuid(),
            name,
            url: url.to_string(),
            events: events_to_text(events),
            status: status.as_str().to_owned(),
            secret: self.sealed(&self.keys().await?, CURRENT, id, &secret),
            previous_secret: None,
            previous_until: None,
            created_at: now.millis(),
        };
        let added = of_row(&row)?;
        webhook::Entity::insert(webhook::ActiveModel::from(row)).exec_without_returning(tx).await?;
        let turn = webhook_turn::ActiveModel {
            webhook_id: Set(id.uuid()),
            tenant_id: Set(self.tenant.uuid()),
            failures: Set(0),
            failing_since: Set(None),
            paused_until: Set(0),
            owner: Set(None),
            lease_until: Set(0),
        };
        webhook_turn::Entity::insert(turn).exec_without_returning(tx).await?;
        self.record(id).await?;
        Ok((added, secret))
    }

    /// Changes a webhook: `change` gets it as it is, under the row's lock, and gives it as it is to be. What waits for it
    /// is tried at once.
    ///
    /// # Errors
    /// What `change` fails with; [`StorageError::NotFound`] if the tenant has no such webhook;
    /// [`StorageError::NotUnique`] (`uq_webhook_tenant_id_name`) if another one has the name.
    pub async fn change<E: From<StorageError>>(
        &self,
        id: WebhookId,
        change: impl FnOnce(Webhook) -> Result<NewWebhook, E>,
    ) -> Result<Webhook, E> {
        let before = self.current(id).await?;
        let NewWebhook { name, url, events, status } = change(before.clone())?;
        let row = webhook::ActiveModel {
            name: Set(name.clone()),
            url: Set(url.to_string()),
            events: Set(events_to_text(events)),
            status: Set(status.as_str().to_owned()),
            ..Default::default()
        };
        self.update(id, row).await?;
        let anew = webhook_turn::ActiveModel { failures: Set(0), paused_until: Set(0), ..Default::default() };
        let turn = update_of_tenant::<webhook_turn::Entity>(self.tenant);
        let turn = turn.filter(webhook_turn::Column::WebhookId.eq(id.uuid())).set(anew);
        turn.exec(&self.tx.tx).await.map_err(StorageError::from)?;
        self.tx.has_told();
        Ok(Webhook { name, url, events, status, ..before })
    }

    /// Takes this secret, or a new one, which is told here and never again. For `overlap`, at most a week, requests are
    /// signed with the one in use as well; one from before it no longer counts.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such webhook.
    pub async fn rotate(
        &self,
        id: WebhookId,
        overlap: Duration,
        secret: Option<WebhookSecret>,
    ) -> Result<(Webhook, WebhookSecret), StorageError> {
        let core = &self.tx.core;
        let (row, keys) = (self.locked(id).await?, self.keys().await?);
        let secret = secret.unwrap_or_else(|| WebhookSecret::generate(&core.random));
        let current = open_secret(&keys, self.tenant, (CURRENT, id), row.secret.clone())?;
        let until = core.clock.now().plus(overlap.min(MAX_OVERLAP));
        let change = webhook::ActiveModel {
            secret: Set(self.sealed(&keys, CURRENT, id, &secret)),
            previous_secret: Set(Some(self.sealed(&keys, PREVIOUS, id, &current))),
            previous_until: Set(Some(until.millis())),
            ..Default::default()
        };
        self.update(id, change).await?;
        Ok((Webhook { previous_until: Some(until), ..of_row(&row)? }, secret))
    }

    /// Removes a webhook. What was still to be told of it is not.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such webhook.
    pub async fn remove(&self, id: WebhookId) -> Result<(), StorageError> {
        self.locked(id).await?;
        let tx = &self.tx.tx;
        let deliveries = delete_of_tenant::<delivery::Entity>(self.tenant);
        deliveries.filter(delivery::Column::WebhookId.eq(id.uuid())).exec(tx).await?;
        let turn = delete_of_tenant::<webhook_turn::Entity>(self.tenant);
        turn.filter(webhook_turn::Column::WebhookId.eq(id.uuid())).exec(tx).await?;
        delete_of_tenant::<webhook::Entity>(self.tenant).filter(webhook::Column::Id.eq(id.uuid())).exec(tx).await?;
        self.record(id).await
    }

    /// The webhook as it is, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such webhook.
    pub async fn current(&self, id: WebhookId) -> Result<Webhook, StorageError> {
        of_row(&self.locked(id).await?)
    }

    async fn locked(&self, id: WebhookId) -> Result<webhook::Model, StorageError> {
        let by_id = of_tenant::<webhook::Entity>(self.tenant).filter(webhook::Column::Id.eq(id.uuid()));
        by_id.lock_exclusive().one(&self.tx.tx).await?.ok_or(StorageError::NotFound)
    }

    async fn update(&self, id: WebhookId, row: webhook::ActiveModel) -> Result<(), StorageError> {
        let by_id = webhook::Column::Id.eq(id.uuid());
        update_of_tenant::<webhook::Entity>(self.tenant).filter(by_id).set(row).exec(&self.tx.tx).await?;
        self.record(id).await
    }

    async fn keys(&self) -> Result<TenantKeys, StorageError> {
        TenantKeys::load(&self.tx.tx, &self.tx.core.master_keys, self.tenant).await
    }

    fn sealed(&self, keys: &TenantKeys, column: &'static str, id: WebhookId, secret: &WebhookSecret) -> Vec<u8> {
        let uuid = id.uuid();
        let place = secret_place(self.tenant, column, uuid.as_bytes());
        keys.seal.seal(&place, secret.bytes().expose(), &self.tx.core.random).into_bytes()
    }

    async fn record(&self, id: WebhookId) -> Result<(), StorageError> {
        self.tx.record(ChangeKind::Webhook, self.tenant, Some(id.uuid())).await
    }
}

/// Opens a sealed secret.
pub(crate) fn open_secret(
    keys: &TenantKeys,
    tenant: TenantId,
    (column, id): (&'static str, WebhookId),
    sealed: Vec<u8>,
) -> Result<WebhookSecret, StorageError> {
    let uuid = id.uuid();
    let opened = keys.open(&secret_place(tenant, column, uuid.as_bytes()), &wxgate_crypto::Sealed::parse(sealed)?)?;
    WebhookSecret::from_bytes(opened).ok_or_else(|| StorageError::inconsistent("webhook", column))
}
