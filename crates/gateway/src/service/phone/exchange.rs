//! From a phone code to its number: one call of WeChat for each code, however often it is sent.

use std::sync::Arc;
use std::time::Duration;

use wxgate_crypto::Digest;
use wxgate_domain::{OpenId, PhoneNumber};
use wxgate_storage::{PhoneCodeClaim, PhoneCodeResult, PhoneCodeTicket, SentPhoneCode, StorageError};
use wxgate_wechat_client::{Access, CallError, PhoneCode, Refused, RefusedClass};

use super::{CodeError, Phones};
use crate::service::access_tokens::TokenCallError;
use crate::service::again::again_if_busy;
use crate::service::directory::ActiveApp;

/// What an exchange may take: fetching a token, two calls of WeChat, and the writes.
const BUDGET: Duration = Duration::from_secs(10);

impl Phones {
    /// The number that a code stands for, exchanged now or within its life.
    pub(super) async fn number_of(
        &self,
        app: &Arc<ActiveApp>,
        openid: &OpenId,
        code: &PhoneCode,
    ) -> Result<PhoneNumber, CodeError> {
        let exchange = self.clone().exchange(app.clone(), openid.clone(), code.clone());
        let in_time = async { tokio::time::timeout(BUDGET, exchange).await.unwrap_or(Err(CodeError::Lost)) };
        self.flights.join(self.flight(app, openid, code), &self.tasks, in_time).await
    }

    /// Another openid's is another flight: it learns from the database that the code is not its own.
    fn flight(&self, app: &ActiveApp, openid: &OpenId, code: &PhoneCode) -> Digest {
        let app = app.app.id.uuid();
        self.key.digest("phone code", &[app.as_bytes(), openid.as_str().as_bytes(), code.expose().as_bytes()])
    }

    async fn exchange(self, app: Arc<ActiveApp>, openid: OpenId, code: PhoneCode) -> Result<PhoneNumber, CodeError> {
        let ticket = match self.claim(&app, &openid, &code).await? {
            PhoneCodeClaim::Exchange(ticket) => ticket,
            PhoneCodeClaim::Exchanged(number) => return Ok(number),
            PhoneCodeClaim::Refused => return Err(refused(&code)),
            PhoneCodeClaim::OfAnother => return Err(CodeError::OfAnother),
            PhoneCodeClaim::Pending { since } if self.clock.now().since(since) < BUDGET => {
                return Err(CodeError::UnderWay);
            }
            PhoneCodeClaim::Lost | PhoneCodeClaim::Pending { .. } => return Err(CodeError::Lost),
            PhoneCodeClaim::Exhausted => {
                return Err(CodeError::Exhausted { retry_after: self.clock.now().until_midnight_in_beijing() });
            }
        };
        let ask = async |access: Access<'_>| self.wechat.phone_number(&access, &code, &openid).await;
        match self.access_tokens.call(&app, ask).await {
            Ok(number) => {
                self.settle(&app, &ticket, PhoneCodeResult::Exchanged(&number)).await?;
                Ok(number)
            }
            Err(error) => {
                tell_operator(&app, &error);
                let (result, told) = judge(error, &code);
                self.settle(&app, &ticket, result).await?;
                Err(told)
            }
        }
    }

    async fn claim(&self, app: &ActiveApp, openid: &OpenId, code: &PhoneCode) -> Result<PhoneCodeClaim, StorageError> {
        let policy = &app.app.policy;
        let sent = SentPhoneCode {
            app: app.app.id,
            openid,
            code: code.expose(),
            most_of_user: policy.phone_codes_per_user_day,
            most_of_app: policy.phone_codes_per_day,
        };
        again_if_busy!(async {
            let tx = self.storage.begin().await?;
            let claim = tx.tenant(app.tenant.id()).phone_codes().claim(&sent).await?;
            tx.commit().await?;
            Ok(claim)
        })
    }

    async fn settle(
        &self,
        app: &ActiveApp,
        ticket: &PhoneCodeTicket,
        result: PhoneCodeResult<'_>,
    ) -> Result<(), StorageError> {
        again_if_busy!(async {
            let tx = self.storage.begin().await?;
            tx.tenant(app.tenant.id()).phone_codes().settle(ticket, result).await?;
            tx.commit().await
        })
    }
}

/// What a call that failed says of the code, and to whoever sent it.
fn judge(error: TokenCallError, code: &PhoneCode) -> (PhoneCodeResult<'static>, CodeError) {
    match error {
        TokenCallError::Call(CallError::Timeout | CallError::BadResponse(_)) => {
            (PhoneCodeResult::Lost, CodeError::Call { error, is_spent: true })
        }
        TokenCallError::Call(CallError::Refused(Refused { class, .. })) => match class {
            RefusedClass::CodeInvalid | RefusedClass::CodeOfOtherKind => (PhoneCodeResult::Refused, refused(code)),
            RefusedClass::UserBlocked | RefusedClass::SessionKeyStale => {
                (PhoneCodeResult::Refused, CodeError::Call { error, is_spent: true })
            }
            _ => (PhoneCodeResult::Unused, CodeError::Call { error, is_spent: false }),
        },
        error => (PhoneCodeResult::Unused, CodeError::Call { error, is_spent: false }),
    }
}

/// Length of the codes that `wx.login` gives today.
const LOGIN_CODE: usize = 32;

/// What the code looks like tells more than WeChat does.
fn refused(code: &PhoneCode) -> CodeError {
    if code.expose().len() == LOGIN_CODE { CodeError::LoginCode } else { CodeError::Rejected }
}

/// Tells the operator what only the operator can mend.
fn tell_operator(app: &ActiveApp, error: &TokenCallError) {
    let TokenCallError::Call(CallError::Refused(refused)) = error else { return };
    if refused.class == RefusedClass::Misconfigured {
        let (errcode, meaning) = (refused.errcode, refused.meaning());
        let rid = refused.rid.as_ref().map_or("", |rid| rid.as_str());
        tracing::error!(wechat.appid = %app.app.appid, wechat.errcode = errcode, wechat.rid = rid, meaning, "WeChat refuses to tell this app phone numbers");
    }
}
