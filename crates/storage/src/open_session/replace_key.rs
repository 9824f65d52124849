//! Another session_key in the place of one that WeChat replaced.

use sea_orm::ConnectionTrait;
use uuid::Uuid;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{AppId, OpenId};

use super::session_key_place;
use crate::error::StorageError;
use crate::scope::TenantScope;
use crate::sql::{bytes, get, id, statement};

/// Sessions that are looked at.
const NEWEST: usize = 5;

impl TenantScope {
    /// Puts a key in the place of the one that it replaced at WeChat, in the newest of the identity's sessions that holds
    /// that one; false if none does any more, because newer logins brought newer keys.
    ///
    /// The old key is forgotten there: it is dead at WeChat. What was sealed under it still opens if an older session holds
    /// the same one.
    ///
    /// # Errors
    /// The database fails, or a key does not open.
    pub async fn replace_session_key(
        &self,
        app: AppId,
        openid: &OpenId,
        old: &SessionKey,
        new: &SessionKey,
    ) -> Result<bool, StorageError> {
        let text = format!(
            "SELECT s.id, s.session_key FROM identity i
            JOIN session s ON s.tenant_id = i.tenant_id AND s.identity_id = i.id
            WHERE i.tenant_id = ? AND i.app_id = ? AND i.openid = ? AND s.session_key IS NOT NULL
            ORDER BY s.opened_at DESC, s.id DESC LIMIT {NEWEST}"
        );
        let of = [id(self.tenant.uuid()), id(app.uuid()), bytes(openid.as_str().as_bytes())];
        for row in self.read(&text, &of).await? {
            if self.session_key(&row).await? == *old {
                return self.put_session_key(get(&row, 0)?, &get::<Vec<u8>>(&row, 1)?, new).await;
            }
        }
        Ok(false)
    }

    /// Writes a key where what was read still stands.
    async fn put_session_key(&self, session: Uuid, seen: &[u8], new: &SessionKey) -> Result<bool, StorageError> {
        let core = &self.storage.core;
        let keys = core.keys(self.tenant).await?;
        let place = session_key_place(self.tenant, session.as_bytes());
        let sealed = keys.seal.seal(&place, new.bytes().expose(), &core.random);
        let text = "UPDATE session SET session_key = ? WHERE tenant_id = ? AND id = ? AND session_key = ?";
        let values = vec![bytes(sealed.as_bytes()), id(self.tenant.uuid()), id(session), bytes(seen)];
        let put = core.writer.execute_raw(statement(core.writer.get_database_backend(), text, values)).await?;
        Ok(put.rows_affected() > 0)
    }
}
