//! Reports that a token of an app is dead: one is looked into in a minute, by one node, and the others learn what came of it.

use std::time::Duration;

use sea_orm::{ColumnTrait, Condition, Set};
use wxgate_crypto::Digest;
use wxgate_domain::{AppId, Timestamp};

use super::TenantAccessTokens;
use crate::entity::access_token::{ActiveModel, Column};
use crate::error::StorageError;
use crate::sql;

/// How often a report is looked into.
const BETWEEN: Duration = Duration::from_mins(1);

/// What is to be done about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// WeChat is to be asked, here and nowhere else.
    LookInto,
    /// WeChat was asked about this token before, and called it dead.
    KnownDead,
    /// Nothing for so long: another report was looked into a moment ago.
    TooSoon(Duration),
}

impl TenantAccessTokens {
    /// What is to be done about the report that the token of this digest is dead.
    ///
    /// # Errors
    /// [`StorageError::Dangling`] if the tenant has no such app.
    pub async fn report(&self, app: AppId, token: &Digest) -> Result<Report, StorageError> {
        let core = &self.storage.core;
        let now = sql::now(&core.writer, &core.clock).await?;
        let probed = ActiveModel { probed_at: Set(Some(now.millis())), ..Default::default() };
        // The row may be missing, or be swept away as soon as it is there: once more then.
        for _ in 0..2 {
            let row = self.of(app).one(&core.writer).await?;
            if row.as_ref().is_some_and(|row| row.dead.as_deref() == Some(token.as_bytes())) {
                return Ok(Report::KnownDead);
            }
            let is_mine = if row.is_some() {
                self.update(app, is_old(now), probed.clone()).await?
            } else {
                let ids = (Set(self.tenant.uuid()), Set(app.uuid()));
                self.insert(ActiveModel { tenant_id: ids.0, app_id: ids.1, ..probed.clone() }).await?
            };
            if is_mine {
                return Ok(Report::LookInto);
            }
            let row = self.of(app).one(&core.writer).await?;
            if let Some(probed_at) = row.and_then(|row| row.probed_at) {
                let until = Timestamp::from_millis(probed_at).plus(BETWEEN);
                return Ok(Report::TooSoon(until.since(now)));
            }
        }
        Ok(Report::TooSoon(BETWEEN))
    }

    /// WeChat was asked, and called the token of this digest dead: other nodes need not ask.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_dead(&self, app: AppId, token: &Digest) -> Result<(), StorageError> {
        let dead = ActiveModel { dead: Set(Some(token.as_bytes().to_vec())), ..Default::default() };
        self.update(app, Condition::all(), dead).await.map(drop)
    }
}

/// Whether the last report was looked into long enough ago.
pub(super) fn is_old(now: Timestamp) -> Condition {
    let before = now.millis().saturating_sub(i64::try_from(BETWEEN.as_millis()).unwrap_or(i64::MAX));
    Condition::any().add(Column::ProbedAt.is_null()).add(Column::ProbedAt.lte(before))
}
