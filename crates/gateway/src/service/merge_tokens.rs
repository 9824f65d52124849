//! Merge tokens: made where a user turns out to claim what is another user's, spent by the merge (`merges.rs`).

use wxgate_domain::{MergeGrant, MergeToken, TenantId, merge};
use wxgate_storage::{Storage, StorageError};

/// Makes merge tokens.
#[derive(Clone, Debug)]
pub(crate) struct MergeTokens {
    pub(crate) storage: Storage,
}

/// A token, to be told once.
#[derive(Debug)]
pub(crate) struct IssuedMergeToken {
    pub(crate) token: MergeToken,
    /// Seconds that it counts.
    pub(crate) expires_in: u64,
}

impl MergeTokens {
    /// Makes a token for a grant; an older one of the same session counts no more.
    pub(crate) async fn issue(&self, tenant: TenantId, grant: &MergeGrant) -> Result<IssuedMergeToken, StorageError> {
        let tx = self.storage.begin().await?;
        let token = tx.tenant(tenant).merge_tokens().issue(grant).await?;
        tx.commit().await?;
        Ok(IssuedMergeToken { token, expires_in: merge::TOKEN_LIFE.as_secs() })
    }
}
