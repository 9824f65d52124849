//! Whether WeChat made a ciphertext of phone data: one call of WeChat for each question, within the day's budgets.

use std::sync::Arc;

use wxgate_crypto::user_data::EncryptedUserData;
use wxgate_domain::OpenId;
use wxgate_storage::{PhoneCall, PhoneDay, StorageError};
use wxgate_wechat_client::{Access, CallError};

use super::{PhoneError, Phones};
use crate::service::access_tokens::TokenCallError;
use crate::service::again::again_if_busy;
use crate::service::directory::ActiveApp;

impl Phones {
    /// Asks WeChat, and takes the question off the budgets first. A question that WeChat did not answer costs nothing; one
    /// whose answer was lost was asked.
    pub(super) async fn confirmed(
        &self,
        app: &Arc<ActiveApp>,
        openid: &OpenId,
        data: &EncryptedUserData,
    ) -> Result<bool, PhoneError> {
        let Some(day) = self.spend(app, openid).await? else {
            return Err(PhoneError::Exhausted { retry_after: self.clock.now().until_midnight_in_beijing() });
        };
        let ask = async |access: Access<'_>| self.wechat.confirm_phone_data(&access, data).await;
        match self.access_tokens.call(app, ask).await {
            Ok(made_at) => Ok(made_at.is_some()),
            Err(error) => {
                if !matches!(error, TokenCallError::Call(CallError::Timeout | CallError::BadResponse(_))) {
                    self.give_back(app, &day).await?;
                }
                Err(PhoneError::Confirm(error))
            }
        }
    }

    async fn spend(&self, app: &ActiveApp, openid: &OpenId) -> Result<Option<PhoneDay>, StorageError> {
        let most = [app.app.policy.phone_data_per_user_day, app.app.policy.phone_data_per_day];
        again_if_busy!(async {
            let tx = self.storage.begin().await?;
            let budgets = tx.tenant(app.tenant.id()).phone_budgets();
            let day = budgets.spend(PhoneCall::Confirmation, (app.app.id, openid), most).await?;
            if day.is_some() {
                tx.commit().await?;
            }
            Ok(day)
        })
    }

    async fn give_back(&self, app: &ActiveApp, day: &PhoneDay) -> Result<(), StorageError> {
        again_if_busy!(async {
            let tx = self.storage.begin().await?;
            tx.tenant(app.tenant.id()).phone_budgets().give_back(PhoneCall::Confirmation, day).await?;
            tx.commit().await
        })
    }
}
