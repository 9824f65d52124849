//! What would become of an app's users if the app were bound to a union group: counted, and nothing written.

use sea_orm::QueryResult;
use uuid::Uuid;
use wxgate_domain::{AppId, UnionGroupId, UserId};

use crate::error::StorageError;
use crate::scope::TenantScope;
use crate::sql::{get, id};

/// Most pairs that are named.
const SAMPLES: usize = 10;

/// What would become of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnionReport {
    /// The app's accounts.
    pub identities: u64,
    /// Those of them whose unionid WeChat has told so far; of the others nobody knows before they log in again.
    pub with_unionid: u64,
    /// Those whose unionid is another one than WeChat told before, and nobody's in the group: they stay apart.
    pub changed: u64,
    /// Those whose user would be found by their unionid from then on.
    pub joining: u64,
    /// Those whose user is found by it already.
    pub joined: u64,
    /// Those whose unionid is another user's in the group: each would be a merge candidate.
    pub candidates: u64,
    /// Some of these pairs: the user in the app, and who has the unionid.
    pub samples: Vec<[UserId; 2]>,
}

/// The accounts of an app, each with whoever has its unionid in the group.
const FROM: &str = "FROM identity i
    LEFT JOIN union_member m ON m.tenant_id = i.tenant_id AND m.union_group_id = ? AND m.unionid = i.unionid
    WHERE i.tenant_id = ? AND i.app_id = ?";

impl TenantScope {
    /// What would become of the users of an app in a union group. It reads all accounts of the app once.
    ///
    /// # Errors
    /// The database fails.
    pub async fn union_report(&self, group: UnionGroupId, app: AppId) -> Result<UnionReport, StorageError> {
        let values = [id(group.uuid()), id(self.tenant.uuid()), id(app.uuid())];
        let counted = format!(
            "SELECT COUNT(*), COUNT(i.unionid),
            COUNT(CASE WHEN i.unionid_changed = 1 AND m.user_id IS NULL THEN 1 END),
            COUNT(CASE WHEN i.unionid_changed = 0 AND i.unionid IS NOT NULL AND m.user_id IS NULL THEN 1 END),
            COUNT(CASE WHEN m.user_id = i.user_id THEN 1 END),
            COUNT(CASE WHEN m.user_id <> i.user_id THEN 1 END) {FROM}"
        );
        let rows = self.read(&counted, &values).await?;
        let Some(row) = rows.first() else { return Ok(UnionReport::default()) };
        let some =
            format!("SELECT i.user_id, m.user_id {FROM} AND m.user_id <> i.user_id ORDER BY i.id LIMIT {SAMPLES}");
        let pair = |row: &QueryResult| Ok([get::<Uuid>(row, 0)?.into(), get::<Uuid>(row, 1)?.into()]);
        let samples = self.read(&some, &values).await?.iter().map(pair).collect::<Result<_, StorageError>>()?;
        Ok(UnionReport {
            identities: count(row, 0)?,
            with_unionid: count(row, 1)?,
            changed: count(row, 2)?,
            joining: count(row, 3)?,
            joined: count(row, 4)?,
            candidates: count(row, 5)?,
            samples,
        })
    }
}

fn count(row: &QueryResult, column: usize) -> Result<u64, StorageError> {
    u64::try_from(get::<i64>(row, column)?).map_err(|_| StorageError::inconsistent("identity", "id"))
}
