//! Webhooks: where a tenant's services are told of what happens, and of what.

use sea_orm::{ColumnTrait, DatabaseTransaction, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;
use wxgate_domain::{EventKinds, TenantId, WebhookId, WebhookStatus};

use crate::entity::webhook;
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::storage::Core;

/// All that a tenant's webhooks want to be told of.
pub(crate) async fn wanted(core: &Core, tenant: TenantId) -> Result<EventKinds, StorageError> {
    let enabled = || enabled(tenant);
    let rows = core.read(|db| async move { enabled().into_tuple().all(&db).await }).await?;
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

fn events_of(text: &str) -> Result<EventKinds, StorageError> {
    serde_json::from_str(text).map_err(|_| StorageError::inconsistent("webhook", "events"))
}
