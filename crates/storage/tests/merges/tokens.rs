//! Merge tokens.

use std::time::Duration;

use wxgate_domain::{MergeGrant, MergeToken, SessionId, TenantId, merge};
use wxgate_storage::{Storage, StorageError};

use crate::couple::{couple, house};
use crate::logins::count;
use crate::support::TestDatabase;

async fn issue(storage: &Storage, tenant: TenantId, grant: &MergeGrant) -> MergeToken {
    let tx = storage.begin().await.unwrap();
    let token = tx.tenant(tenant).merge_tokens().issue(grant).await.unwrap();
    tx.commit().await.unwrap();
    token
}

async fn consume(
    storage: &Storage,
    tenant: TenantId,
    token: &MergeToken,
    session: SessionId,
) -> Result<MergeGrant, StorageError> {
    let tx = storage.begin().await.unwrap();
    let grant = tx.tenant(tenant).merge_tokens().consume(token, session).await?;
    tx.commit().await.unwrap();
    Ok(grant)
}

pub(crate) async fn a_merge_token_counts_once_for_its_session_and_five_minutes(database: TestDatabase) {
    let storage = database.started().await;
    let (mine, theirs) = (house(&storage, "acme").await, house(&storage, "umbrella").await);
    let (tenant, foreign) = (mine.shop.tenant.id, theirs.shop.tenant.id);
    let (one, other) = couple(&storage, &mine).await;
    let phone = Some(wxgate_crypto::Digest::sha256(b"a number"));
    let grant = MergeGrant { user: one.user.id, other: other.user.id, session: one.id, phone };
    let token = issue(&storage, tenant, &grant).await;
    let refused = Err(StorageError::NotFound);
    assert_eq!(consume(&storage, tenant, &token, other.id).await, refused, "another session");
    assert_eq!(consume(&storage, foreign, &token, one.id).await, refused, "another tenant");
    // A use that came to nothing leaves it as it was.
    let tx = storage.begin().await.unwrap();
    assert!(tx.tenant(tenant).merge_tokens().consume(&token, one.id).await.is_ok());
    drop(tx);
    assert_eq!(consume(&storage, tenant, &token, one.id).await, Ok(grant.clone()));
    assert_eq!(consume(&storage, tenant, &token, one.id).await, refused, "it was used");

    let [older, newer] = [issue(&storage, tenant, &grant).await, issue(&storage, tenant, &grant).await];
    assert_eq!(consume(&storage, tenant, &older, one.id).await, refused, "a newer one took its place");
    database.clock.advance(merge::TOKEN_LIFE.saturating_sub(Duration::from_millis(1)));
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "merge_token").await, 1);
    database.clock.advance(Duration::from_millis(1));
    assert_eq!(consume(&storage, tenant, &newer, one.id).await, refused, "it expired");
    storage.sweep().await.unwrap();
    assert_eq!(count(&database, "merge_token").await, 0);
    storage.stop().await;
}
