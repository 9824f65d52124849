//! What all nodes together have called of WeChat, by app, interface and outcome, for each of the last days.
//!
//! Each node adds what it has counted since it last did. Nobody reads before writing, so nodes add side by side.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};
use uuid::Uuid;
use wxgate_domain::{AppId, BeijingDay, TenantId, Timestamp, WechatAppid};

use crate::entity::{app, wechat_call};
use crate::error::StorageError;
use crate::scope::of_tenant;
use crate::sql::{LARGEST, chunks, id, list, statement};
use crate::storage::{Core, Storage};
use crate::tx;

/// Days that are kept before today.
const KEPT: u16 = 6;

/// How often an app called an interface of WeChat with one outcome on one day, since that was last written down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewWechatCalls {
    /// The app, or the third-party platform.
    pub appid: WechatAppid,
    /// WeChat's day.
    pub day: BeijingDay,
    /// The interface, such as `/sns/jscode2session`: at most 64 characters.
    pub interface: &'static str,
    /// `ok`, or the class of the error: at most 64 characters.
    pub outcome: &'static str,
    /// How often.
    pub calls: u64,
}

/// The same of all nodes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WechatCalls {
    /// WeChat's day.
    pub day: BeijingDay,
    /// The interface.
    pub interface: String,
    /// `ok`, or the class of the error.
    pub outcome: String,
    /// How often.
    pub calls: u64,
}

/// The calls of all tenants' apps: whoever calls WeChat knows appids.
#[derive(Clone, Debug)]
pub struct AllWechatCalls(Storage);

impl AllWechatCalls {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// Adds calls, all of them or none, each kind named once. Those of an appid that is no app of ours are left out.
    ///
    /// # Errors
    /// The database fails; or an app went at the same moment ([`StorageError::Dangling`]): begin again.
    pub async fn add(&self, new: &[NewWechatCalls]) -> Result<(), StorageError> {
        let core = &self.0.core;
        let apps = apps(core, new).await?;
        let mut rows: Vec<_> = new.iter().filter_map(|new| Some((apps.get(&new.appid)?, new))).collect();
        // Everybody locks in one order.
        rows.sort();
        let rows = rows.into_iter().map(|((tenant, app), new)| {
            let calls = i64::try_from(new.calls).unwrap_or(i64::MAX);
            [id(*tenant), id(*app), new.day.number().into(), new.interface.into(), new.outcome.into(), calls.into()]
        });
        let rows: Vec<(usize, Vec<Value>)> = chunks(rows);
        if rows.is_empty() {
            return Ok(());
        }
        let backend = core.writer.get_database_backend();
        let tx = tx::begin(core).await?;
        for (size, values) in rows {
            tx.execute_raw(statement(backend, &addition(backend, size), values)).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// The apps of these appids.
async fn apps(core: &Core, new: &[NewWechatCalls]) -> Result<BTreeMap<WechatAppid, (Uuid, Uuid)>, StorageError> {
    let mut appids: Vec<&WechatAppid> = new.iter().map(|new| &new.appid).collect();
    appids.sort();
    appids.dedup();
    let mut found = BTreeMap::new();
    for some in appids.chunks(LARGEST) {
        let named = || some.iter().map(|appid| appid.as_str().as_bytes().to_vec());
        #[expect(clippy::disallowed_methods, reason = "an appid is unique among all tenants")]
        let query = || {
            let columns = [app::Column::Appid, app::Column::TenantId, app::Column::Id];
            app::Entity::find().select_only().columns(columns).filter(app::Column::Appid.is_in(named()))
        };
        let rows = core.read(|db| async move { query().into_tuple::<(Vec<u8>, Uuid, Uuid)>().all(&db).await }).await?;
        for (appid, tenant, app) in rows {
            found.insert(super::ascii(appid, "app", "appid")?, (tenant, app));
        }
    }
    Ok(found)
}

/// Adds to the rows that are there, and makes those that are not.
fn addition(backend: DbBackend, rows: usize) -> String {
    let rows = list("(?, ?, ?, ?, ?, ?)", rows);
    let insert = format!("INSERT INTO wechat_call (tenant_id, app_id, day, interface, outcome, calls) VALUES {rows}");
    match backend {
        DbBackend::MySql => format!("{insert} ON DUPLICATE KEY UPDATE calls = calls + VALUES(calls)"),
        _ => format!(
            "{insert} ON CONFLICT (tenant_id, app_id, day, interface, outcome) \
             DO UPDATE SET calls = wechat_call.calls + excluded.calls"
        ),
    }
}

/// The calls of one tenant's apps.
#[derive(Clone, Debug)]
pub struct TenantWechatCalls {
    storage: Storage,
    tenant: TenantId,
}

impl TenantWechatCalls {
    pub(crate) fn new(storage: Storage, tenant: TenantId) -> Self {
        Self { storage, tenant }
    }

    /// What was written down of an app, of today and the six days before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn of(&self, app: AppId) -> Result<Vec<WechatCalls>, StorageError> {
        let core = &self.storage.core;
        let oldest = oldest(core.clock.now());
        let query = || {
            of_tenant::<wechat_call::Entity>(self.tenant)
                .filter(wechat_call::Column::AppId.eq(app.uuid()))
                .filter(wechat_call::Column::Day.gte(oldest.number()))
                .order_by_desc(wechat_call::Column::Day)
                .order_by_asc(wechat_call::Column::Interface)
                .order_by_asc(wechat_call::Column::Outcome)
        };
        // From the writer: what was added a moment ago is to be seen.
        let rows = query().all(&core.writer).await?;
        let calls = |row: wechat_call::Model| WechatCalls {
            day: BeijingDay::from_number(row.day),
            interface: row.interface,
            outcome: row.outcome,
            calls: u64::try_from(row.calls).unwrap_or(0),
        };
        Ok(rows.into_iter().map(calls).collect())
    }
}

fn oldest(now: Timestamp) -> BeijingDay {
    now.beijing_day().minus(KEPT)
}

/// Forgets days of long ago.
pub(crate) async fn purge(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    let old = wechat_call::Entity::delete_many().filter(wechat_call::Column::Day.lt(oldest(now).number()));
    old.exec(&core.writer).await?;
    Ok(())
}
