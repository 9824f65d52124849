//! Phone codes in the five minutes that they live: each is exchanged once, for one openid, and within the day's budgets.
//!
//! A row is written before the exchange and settled after it. Whoever finds a row that was never settled in time learns that
//! the answer was lost: the code is spent.

use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Set};
use uuid::Uuid;
use wxgate_crypto::{MacKey, Place, Sealed, Secret};
use wxgate_domain::{AppId, OpenId, PhoneNumber, TenantId, Timestamp, UserId};

use super::phone_budgets::{PhoneCall, PhoneDay, TxPhoneBudgets};
use super::phones::{of_text, to_text};
use crate::entity::{identity, phone_budget, phone_code};
use crate::error::StorageError;
use crate::keys::TenantKeys;
use crate::scope::{delete_of_tenant, of_tenant, update_of_tenant};
use crate::storage::Core;
use crate::tx::Tx;

const TABLE: &str = "phone_code";

/// How long a phone code lives at WeChat, and what became of it here.
const LIFE: Duration = Duration::from_mins(5);

/// The words of the column `state`.
const PENDING: &str = "pending";
const REFUSED: &str = "refused";
const EXCHANGED: &str = "exchanged";
const LOST: &str = "lost";

/// A phone code that somebody sent.
#[derive(Clone, Copy, Debug)]
pub struct SentPhoneCode<'a> {
    /// The app that it is for.
    pub app: AppId,
    /// Who sent it.
    pub openid: &'a OpenId,
    /// The code. Only a keyed digest of it is kept.
    pub code: &'a str,
    /// How many codes this openid may have exchanged today.
    pub most_of_user: u32,
    /// How many codes the app may have exchanged today.
    pub most_of_app: u32,
}

/// What is to be done with it.
#[derive(Debug)]
pub enum PhoneCodeClaim {
    /// It is new: exchange it, then settle what came of it.
    Exchange(PhoneCodeTicket),
    /// WeChat's answer was lost; the code counts as spent.
    Lost,
    /// It was sent before, and its exchange is under way or ended with its process.
    Pending {
        /// When it was sent.
        since: Timestamp,
    },
    /// WeChat has refused it.
    Refused,
    /// It was exchanged before, for this number.
    Exchanged(PhoneNumber),
    /// Another user sent it.
    OfAnother,
    /// The day's budget of this user or of the app is used up.
    Exhausted,
}

/// The right, and the duty, to settle what became of a code.
#[derive(Clone, Debug)]
pub struct PhoneCodeTicket {
    id: Uuid,
    day: PhoneDay,
}

/// What came of an exchange.
#[derive(Clone, Copy, Debug)]
pub enum PhoneCodeResult<'a> {
    /// WeChat told the number.
    Exchanged(&'a PhoneNumber),
    /// WeChat refused the code, which costs nothing. The user's budget is used all the same: nobody guesses codes.
    Refused,
    /// The answer was lost: the code may be used up, and counts so.
    Lost,
    /// The code was not exchanged, and can be sent again.
    Unused,
}

/// Writes about the phone codes of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxPhoneCodes<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxPhoneCodes<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Decides what is to be done with a code; if it is to be exchanged, that is written down and taken off the budgets.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such tenant; [`StorageError::Busy`] if the same code, or the first of the
    /// day, was sent at the same moment: begin again.
    pub async fn claim(&self, sent: &SentPhoneCode<'_>) -> Result<PhoneCodeClaim, StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let now = core.clock.now();
        let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
        // A key that has just been made does not make a code new.
        let digests = keys.digests.iter().map(|(_, key)| digest(key, sent));
        let known = of_tenant::<phone_code::Entity>(self.tenant)
            .filter(phone_code::Column::AppId.eq(sent.app.uuid()))
            .filter(phone_code::Column::Digest.is_in(digests))
            .filter(phone_code::Column::At.gt(now.minus(LIFE).millis()));
        if let Some(row) = known.one(tx).await? {
            return self.known(row, sent.openid, &keys);
        }
        let (of, most) = ((sent.app, sent.openid), [sent.most_of_user, sent.most_of_app]);
        let Some(day) = self.budgets().spend(PhoneCall::Exchange, of, most).await? else {
            return Ok(PhoneCodeClaim::Exhausted);
        };
        let ticket = PhoneCodeTicket { id: core.random.uuid_v7(now.millis()), day };
        let row = phone_code::ActiveModel {
            id: Set(ticket.id),
            tenant_id: Set(self.tenant.uuid()),
            app_id: Set(sent.app.uuid()),
            digest: Set(digest(&keys.digest, sent)),
            openid: Set(sent.openid.as_str().as_bytes().to_vec()),
            state: Set(PENDING.to_owned()),
            number: Set(None),
            at: Set(now.millis()),
        };
        phone_code::Entity::insert(row).exec_without_returning(tx).await.map_err(StorageError::overtaken)?;
        Ok(PhoneCodeClaim::Exchange(ticket))
    }

    /// Settles what became of a code.
    ///
    /// # Errors
    /// The database fails.
    pub async fn settle(&self, ticket: &PhoneCodeTicket, result: PhoneCodeResult<'_>) -> Result<(), StorageError> {
        let Tx { core, tx, .. } = self.tx;
        let mine = phone_code::Column::Id.eq(ticket.id);
        let change = match result {
            PhoneCodeResult::Exchanged(exchanged) => {
                let keys = TenantKeys::load(tx, &core.master_keys, self.tenant).await?;
                let text = Secret::new(format!("{} {}", ticket.day.openid, to_text(exchanged).expose()));
                let sealed = keys.seal.seal(&place(self.tenant, &ticket.id), text.expose().as_bytes(), &core.random);
                let (state, number) = (Set(EXCHANGED.to_owned()), Set(Some(sealed.into_bytes())));
                phone_code::ActiveModel { state, number, ..Default::default() }
            }
            PhoneCodeResult::Refused => {
                self.budgets().give_back_to_app(PhoneCall::Exchange, &ticket.day).await?;
                phone_code::ActiveModel { state: Set(REFUSED.to_owned()), ..Default::default() }
            }
            PhoneCodeResult::Lost => phone_code::ActiveModel { state: Set(LOST.to_owned()), ..Default::default() },
            PhoneCodeResult::Unused => {
                self.budgets().give_back(PhoneCall::Exchange, &ticket.day).await?;
                delete_of_tenant::<phone_code::Entity>(self.tenant).filter(mine).exec(tx).await?;
                return Ok(());
            }
        };
        update_of_tenant::<phone_code::Entity>(self.tenant).filter(mine).set(change).exec(tx).await?;
        Ok(())
    }

    /// What became of a code that was sent before.
    fn known(&self, row: phone_code::Model, by: &OpenId, keys: &TenantKeys) -> Result<PhoneCodeClaim, StorageError> {
        if row.openid != by.as_str().as_bytes() {
            return Ok(PhoneCodeClaim::OfAnother);
        }
        let inconsistent = |column| StorageError::inconsistent(TABLE, column);
        Ok(match row.state.as_str() {
            PENDING => PhoneCodeClaim::Pending { since: Timestamp::from_millis(row.at) },
            REFUSED => PhoneCodeClaim::Refused,
            LOST => PhoneCodeClaim::Lost,
            EXCHANGED => {
                let sealed = Sealed::parse(row.number.ok_or_else(|| inconsistent("number"))?)?;
                let opened = keys.open(&place(self.tenant, &row.id), &sealed)?;
                // The openid is inside the seal too, so that nobody who writes rows makes the number another user's.
                let own = [by.as_str().as_bytes(), b" "].concat();
                let text = opened.expose().strip_prefix(own.as_slice()).ok_or_else(|| inconsistent("openid"))?;
                PhoneCodeClaim::Exchanged(of_text(text, TABLE)?)
            }
            _ => return Err(inconsistent("state")),
        })
    }

    fn budgets(&self) -> TxPhoneBudgets<'a> {
        TxPhoneBudgets::new(self.tx, self.tenant)
    }

    /// Forgets what an openid sent and had exchanged.
    pub(crate) async fn forget(&self, app: Uuid, openid: &[u8]) -> Result<(), StorageError> {
        self.forget_codes_of(app, openid).await?;
        self.budgets().forget(app, openid).await
    }

    /// Forgets the codes that a user sent, in whichever app. What they cost stays counted.
    pub(crate) async fn forget_codes(&self, user: UserId) -> Result<(), StorageError> {
        let of_user = identity::Column::UserId.eq(user.uuid());
        for identity in of_tenant::<identity::Entity>(self.tenant).filter(of_user).all(&self.tx.tx).await? {
            self.forget_codes_of(identity.app_id, &identity.openid).await?;
        }
        Ok(())
    }

    async fn forget_codes_of(&self, app: Uuid, openid: &[u8]) -> Result<(), StorageError> {
        delete_of_tenant::<phone_code::Entity>(self.tenant)
            .filter(phone_code::Column::AppId.eq(app))
            .filter(phone_code::Column::Openid.eq(openid.to_vec()))
            .exec(&self.tx.tx)
            .await?;
        Ok(())
    }
}

fn digest(key: &MacKey, sent: &SentPhoneCode<'_>) -> Vec<u8> {
    key.digest("phone code", &[sent.app.uuid().as_bytes(), sent.code.as_bytes()]).as_bytes().to_vec()
}

fn place(tenant: TenantId, row: &Uuid) -> Place<'_> {
    Place { tenant: tenant.uuid(), table: TABLE, column: "number", row: row.as_bytes() }
}

/// Forgets codes that are over, and budgets of days that are.
pub(crate) async fn purge(core: &Core, now: Timestamp) -> Result<(), StorageError> {
    let over = phone_code::Column::At.lte(now.minus(LIFE).millis());
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    phone_code::Entity::delete_many().filter(over).exec(&core.writer).await?;
    let days = phone_budget::Column::Day.lt(now.beijing_day().number());
    #[expect(clippy::disallowed_methods, reason = "swept for all tenants")]
    phone_budget::Entity::delete_many().filter(days).exec(&core.writer).await?;
    Ok(())
}
