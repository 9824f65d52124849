//! How often WeChat may be asked about phone numbers in a day of Beijing, for one openid and for a whole app.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set};
use uuid::Uuid;
use wxgate_domain::{AppId, BeijingDay, OpenId, TenantId};

use crate::entity::phone_budget;
use crate::error::StorageError;
use crate::scope::{delete_of_tenant, of_tenant};
use crate::sql::{bytes, id, number, statement};
use crate::tx::Tx;

/// What is counted, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhoneCall {
    /// Exchanging a phone code.
    Exchange,
    /// Confirming phone data.
    Confirmation,
}

impl PhoneCall {
    fn column(self) -> &'static str {
        match self {
            Self::Exchange => "used",
            Self::Confirmation => "confirmed",
        }
    }
}

/// A day of one openid and of its app, from which a call was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneDay {
    pub(crate) app: AppId,
    pub(crate) openid: OpenId,
    pub(crate) day: BeijingDay,
}

impl PhoneDay {
    fn of_user(&self) -> &[u8] {
        self.openid.as_str().as_bytes()
    }
}

/// No openid is the whole app.
const OF_APP: &[u8] = &[];

/// Writes about the budgets of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct TxPhoneBudgets<'a> {
    tx: &'a Tx,
    tenant: TenantId,
}

impl<'a> TxPhoneBudgets<'a> {
    pub(crate) fn new(tx: &'a Tx, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// Takes a call off the budgets of today, the user's and then the app's; `None` if one of them is used up.
    ///
    /// # Errors
    /// [`StorageError::Busy`] if the first call of the day was made at the same moment: begin again.
    pub async fn spend(
        &self,
        call: PhoneCall,
        (app, openid): (AppId, &OpenId),
        [most_of_user, most_of_app]: [u32; 2],
    ) -> Result<Option<PhoneDay>, StorageError> {
        let day = PhoneDay { app, openid: openid.clone(), day: self.tx.core.clock.now().beijing_day() };
        let is_left = self.take(call, &day, day.of_user(), most_of_user).await?
            && self.take(call, &day, OF_APP, most_of_app).await?;
        Ok(is_left.then_some(day))
    }

    /// Gives a call back that WeChat was not asked for.
    ///
    /// # Errors
    /// The database fails.
    pub async fn give_back(&self, call: PhoneCall, day: &PhoneDay) -> Result<(), StorageError> {
        self.count(call, day, day.of_user(), "- 1", ("> ?", 0)).await?;
        self.give_back_to_app(call, day).await
    }

    /// Gives the app a call back that costs nothing. It stays the user's.
    pub(crate) async fn give_back_to_app(&self, call: PhoneCall, day: &PhoneDay) -> Result<(), StorageError> {
        self.count(call, day, OF_APP, "- 1", ("> ?", 0)).await.map(drop)
    }

    /// Takes one off a budget of the day; whether there was one left.
    async fn take(&self, call: PhoneCall, day: &PhoneDay, of: &[u8], most: u32) -> Result<bool, StorageError> {
        if self.count(call, day, of, "+ 1", ("< ?", most)).await? {
            return Ok(true);
        }
        let (tx, tenant) = (&self.tx.tx, self.tenant);
        let today = of_tenant::<phone_budget::Entity>(tenant)
            .filter(phone_budget::Column::AppId.eq(day.app.uuid()))
            .filter(phone_budget::Column::Openid.eq(of.to_vec()))
            .filter(phone_budget::Column::Day.eq(day.day.number()));
        match today.one(tx).await? {
            Some(today) if today.of(call) >= i32::try_from(most).unwrap_or(i32::MAX) => return Ok(false),
            // The day's first call was committed between our count and our look.
            Some(_) => return Err(StorageError::Busy),
            None => {}
        }
        let one_of = |counted| Set(i32::from(call == counted));
        let first = phone_budget::ActiveModel {
            tenant_id: Set(tenant.uuid()),
            app_id: Set(day.app.uuid()),
            openid: Set(of.to_vec()),
            day: Set(day.day.number()),
            used: one_of(PhoneCall::Exchange),
            confirmed: one_of(PhoneCall::Confirmation),
        };
        phone_budget::Entity::insert(first).exec_without_returning(tx).await.map_err(StorageError::overtaken)?;
        Ok(true)
    }

    /// Counts in one statement, which also locks the row; whether the condition held.
    async fn count(
        &self,
        call: PhoneCall,
        day: &PhoneDay,
        of: &[u8],
        by: &str,
        (only, bound): (&str, u32),
    ) -> Result<bool, StorageError> {
        let counted = call.column();
        let text = format!(
            "UPDATE phone_budget SET {counted} = {counted} {by} \
             WHERE tenant_id = ? AND app_id = ? AND openid = ? AND day = ? AND {counted} {only}"
        );
        let key = [id(self.tenant.uuid()), id(day.app.uuid()), bytes(of), day.day.number().into(), number(bound)];
        let update = statement(self.tx.tx.get_database_backend(), &text, key.into());
        Ok(self.tx.tx.execute_raw(update).await?.rows_affected() > 0)
    }

    /// Forgets an openid's budgets.
    pub(crate) async fn forget(&self, app: Uuid, openid: &[u8]) -> Result<(), StorageError> {
        let theirs = delete_of_tenant::<phone_budget::Entity>(self.tenant)
            .filter(phone_budget::Column::AppId.eq(app))
            .filter(phone_budget::Column::Openid.eq(openid.to_vec()));
        theirs.exec(&self.tx.tx).await?;
        Ok(())
    }
}

impl phone_budget::Model {
    fn of(&self, call: PhoneCall) -> i32 {
        match call {
            PhoneCall::Exchange => self.used,
            PhoneCall::Confirmation => self.confirmed,
        }
    }
}
