//! Signing keys: the private part is sealed by the tenant's seal key, and rotation never opens it.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, Order, QueryFilter, QueryOrder, QueryResult, Set};
use uuid::Uuid;
use wxgate_crypto::{Place, Random, SealKey, Sealed};
use wxgate_domain::{Kid, RingKey, SigningKeyState, StoredSigningKey, TenantId, TenantPolicy, TenantStatus, Timestamp};

use super::{ascii, tenants};
use crate::changes::ChangeKind;
use crate::entity::signing_key;
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Storage;
use crate::tx::Tx;

/// Tenants whose rings are read at once.
const PAGE: u64 = 500;

/// A tenant's keys as rotation sees them, and the policy by which they turn.
#[derive(Clone, Debug)]
pub struct TenantRing {
    /// The tenant.
    pub tenant: TenantId,
    /// Its policy.
    pub policy: TenantPolicy,
    /// Its keys, oldest first.
    pub keys: Vec<RingKey>,
}

/// A page of the rings of all tenants.
#[derive(Clone, Debug, Default)]
pub struct Rings {
    /// Those that can be read.
    pub rings: Vec<TenantRing>,
    /// The tenants whose policy or keys make no sense to this version, so that nobody turns their keys.
    pub unreadable: Vec<TenantId>,
    /// Where the next page begins; `None` if this page is empty.
    pub last: Option<TenantId>,
}

fn place(tenant: TenantId, kid: &[u8]) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: "signing_key", column: "private", row: kid }
}

pub(crate) fn of_row(row: signing_key::Model, keys: &TenantKeys) -> Result<StoredSigningKey, StorageError> {
    let private = keys.open(&place(row.tenant_id.into(), &row.kid), &Sealed::parse(row.private)?)?;
    Ok(StoredSigningKey {
        private,
        kid: ascii(row.kid, "signing_key", "kid")?,
        algorithm: ascii(row.algorithm.into_bytes(), "signing_key", "algorithm")?,
        state: state(&row.state)?,
        public_jwk: row.public_jwk,
        created_at: Timestamp::from_millis(row.created_at),
        activated_at: row.activated_at.map(Timestamp::from_millis),
        retired_at: row.retired_at.map(Timestamp::from_millis),
    })
}

fn state(word: &str) -> Result<SigningKeyState, StorageError> {
    SigningKeyState::from_word(word).ok_or_else(|| StorageError::inconsistent("signing_key", "state"))
}

pub(crate) fn to_row(
    key: &StoredSigningKey,
    tenant: TenantId,
    seal: &SealKey,
    random: &Random,
) -> signing_key::ActiveModel {
    let kid = key.kid.as_str().as_bytes();
    let private = seal.seal(&place(tenant, kid), key.private.expose(), random);
    signing_key::ActiveModel {
        kid: Set(kid.to_vec()),
        tenant_id: Set(tenant.uuid()),
        algorithm: Set(key.algorithm.as_str().to_owned()),
        state: Set(key.state.as_str().to_owned()),
        private: Set(private.into_bytes()),
        public_jwk: Set(key.public_jwk.clone()),
        created_at: Set(key.created_at.millis()),
        activated_at: Set(key.activated_at.map(Timestamp::millis)),
        retired_at: Set(key.retired_at.map(Timestamp::millis)),
    }
}

/// The rings of all tenants, for whoever keeps them.
#[derive(Clone, Debug)]
pub struct AllSigningKeys(Storage);

impl AllSigningKeys {
    pub(crate) fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// The rings of the next tenants after this one, by their ids: some hundreds at once. A tenant without a key has an
    /// empty ring. Nothing is unsealed.
    ///
    /// # Errors
    /// The database fails.
    pub async fn rings(&self, after: Option<TenantId>) -> Result<Rings, StorageError> {
        let query = &rings_after(after);
        let rows = self.0.core.read(|db| async move { db.query_all(query).await }).await?;
        let mut page = Rings::default();
        for row in rows {
            let tenant = TenantId::from(row.try_get::<Uuid>("", "tenant_id")?);
            page.last = Some(tenant);
            if page.unreadable.last() == Some(&tenant) {
                continue;
            }
            if page.rings.last().is_none_or(|ring| ring.tenant != tenant) {
                let Ok(policy) = tenants::policy(&row.try_get::<String>("", "policy")?) else {
                    page.unreadable.push(tenant);
                    continue;
                };
                page.rings.push(TenantRing { tenant, policy, keys: Vec::new() });
            }
            match (joined_key(&row), page.rings.last_mut()) {
                (Ok(key), Some(ring)) => ring.keys.extend(key),
                // Half a ring would have its missing keys made anew.
                _ => page.unreadable.extend(page.rings.pop().map(|ring| ring.tenant)),
            }
        }
        Ok(page)
    }
}

/// One statement for a page of tenants, so that thousands of them cost a handful.
fn rings_after(after: Option<TenantId>) -> SelectStatement {
    let (owner, key) = (Alias::new("owner"), Alias::new("key"));
    let of_key = |column: &'static str| (key.clone(), Alias::new(column));
    let mut page = Query::select();
    page.columns(["id", "policy"]).from("tenant").order_by("id", Order::Asc).limit(PAGE);
    // A tenant that is being deleted has no keys, and gets none.
    page.and_where(Expr::col("status").ne(TenantStatus::Deleting.as_str()));
    if let Some(after) = after {
        page.and_where(Expr::col("id").gt(after.uuid()));
    }
    let mut rings = Query::select();
    rings
        .expr_as(Expr::col((owner.clone(), "id")), "tenant_id")
        .column((owner.clone(), "policy"))
        .columns(["kid", "algorithm", "state", "created_at", "activated_at", "retired_at"].map(of_key))
        .from_subquery(page, owner.clone())
        .join_as(
            JoinType::LeftJoin,
            "signing_key",
            key.clone(),
            Expr::col((key.clone(), "tenant_id")).equals((owner.clone(), "id")),
        )
        .order_by((owner, "id"), Order::Asc)
        .order_by((key.clone(), "created_at"), Order::Asc)
        .order_by((key, "kid"), Order::Asc);
    rings
}

fn ring_key(row: signing_key::Model) -> Result<RingKey, StorageError> {
    Ok(RingKey {
        kid: ascii(row.kid, "signing_key", "kid")?,
        algorithm: ascii(row.algorithm.into_bytes(), "signing_key", "algorithm")?,
        state: state(&row.state)?,
        published_at: Timestamp::from_millis(row.created_at),
        activated_at: row.activated_at.map(Timestamp::from_millis),
        retired_at: row.retired_at.map(Timestamp::from_millis),
    })
}

/// The key of a joined row; `None` where the tenant has none.
fn joined_key(row: &QueryResult) -> Result<Option<RingKey>, StorageError> {
    let Some(kid) = row.try_get::<Option<Vec<u8>>>("", "kid")? else { return Ok(None) };
    let moment = |column| row.try_get::<Option<i64>>("", column).map(|at| at.map(Timestamp::from_millis));
    Ok(Some(RingKey {
        kid: ascii(kid, "signing_key", "kid")?,
        algorithm: ascii(row.try_get::<String>("", "algorithm")?.into_bytes(), "signing_key", "algorithm")?,
        state: state(&row.try_get::<String>("", "state")?)?,
        published_at: Timestamp::from_millis(row.try_get("", "created_at")?),
        activated_at: moment("activated_at")?,
        retired_at: moment("retired_at")?,
    }))
}

/// Writes about the signing keys of one tenant. Take the ring first: it stays locked until the transaction ends, so
/// nodes that decide at the same time decide one after another.
#[derive(Clone, Copy, Debug)]
pub struct TxSigningKeys<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxSigningKeys<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Locks the tenant's ring and policy, and reads them.
    ///
    /// The lock is the tenant's row. Locking the keys' own rows would not do: a statement that waited for them does not
    /// see the key that was added meanwhile.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant, [`StorageError::Busy`] if somebody holds the lock too long.
    pub async fn ring(&self) -> Result<TenantRing, StorageError> {
        let tenant = tenants::locked(&self.tx.tx, self.tenant).await?;
        if tenant.status == TenantStatus::Deleting.as_str() {
            return Err(StorageError::NotFound);
        }
        let oldest_first = of_tenant::<signing_key::Entity>(self.tenant)
            .order_by_asc(signing_key::Column::CreatedAt)
            .order_by_asc(signing_key::Column::Kid);
        let keys = oldest_first.all(&self.tx.tx).await?.into_iter().map(ring_key).collect::<Result<_, _>>()?;
        Ok(TenantRing { tenant: self.tenant, policy: tenants::policy(&tenant.policy)?, keys })
    }

    /// Adds a key as `next`, published now. Its private part is sealed.
    ///
    /// # Errors
    /// [`StorageError::NotUnique`] if any tenant has a key of this id.
    pub async fn publish(&self, key: StoredSigningKey) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        let (state, created_at) = (SigningKeyState::Next, core.clock.now());
        let key = StoredSigningKey { state, created_at, activated_at: None, retired_at: None, ..key };
        let row = to_row(&key, self.tenant, &keys.seal, &core.random);
        signing_key::Entity::insert(row).exec_without_returning(tx).await?;
        self.changed().await
    }

    /// Lets a `next` key sign from now on; the one that did retires.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such key that stands by.
    pub async fn promote(&self, kid: &Kid) -> Result<(), StorageError> {
        let now = self.tx.core.clock.now().millis();
        let retire = signing_key::ActiveModel {
            state: Set(SigningKeyState::Retiring.as_str().to_owned()),
            retired_at: Set(Some(now)),
            ..Default::default()
        };
        let in_state = |state: SigningKeyState| {
            update_of_tenant::<signing_key::Entity>(self.tenant).filter(signing_key::Column::State.eq(state.as_str()))
        };
        in_state(SigningKeyState::Active).set(retire).exec(&self.tx.tx).await?;
        let activate = signing_key::ActiveModel {
            state: Set(SigningKeyState::Active.as_str().to_owned()),
            activated_at: Set(Some(now)),
            ..Default::default()
        };
        let of_kid = in_state(SigningKeyState::Next).filter(is(kid)).set(activate);
        if of_kid.exec(&self.tx.tx).await?.rows_affected == 0 {
            return Err(StorageError::NotFound);
        }
        self.changed().await
    }

    /// Removes a key: what it signed verifies no more.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if the tenant has no such key.
    pub async fn forget(&self, kid: &Kid) -> Result<(), StorageError> {
        let delete = delete_of_tenant::<signing_key::Entity>(self.tenant).filter(is(kid));
        if delete.exec(&self.tx.tx).await?.rows_affected == 0 {
            return Err(StorageError::NotFound);
        }
        self.changed().await
    }

    async fn changed(&self) -> Result<(), StorageError> {
        self.tx.record(ChangeKind::SigningKey, self.tenant, None).await
    }
}

fn is(kid: &Kid) -> sea_orm::sea_query::SimpleExpr {
    signing_key::Column::Kid.eq(kid.as_str().as_bytes().to_vec())
}
