//! What concerns each app: whether WeChat accepts its secret and gives it an access_token.

use futures_util::StreamExt;
use futures_util::stream;
use wxgate_crypto::encoding;
use wxgate_domain::{AppSecret, AppSecrets, AppStatus, Credential, LoginCode, WechatAppid};
use wxgate_storage::StoredApp;
use wxgate_wechat_client::{Access, CallError, ExchangeError, RejectedClass, TokenMode};

use super::super::apps::calls::in_words;
use super::super::{Admin, AdminError};
use super::Finding;
use super::platforms::standing;
use crate::service::signed_calls::SignedCalls;

/// Apps that are looked at beside each other.
const AT_ONCE: usize = 4;

impl Admin {
    /// Looks at all apps, a few at a time; what was found is told at once.
    pub(super) async fn examine_apps(&self, findings: &mut Vec<Finding>) -> Result<(), AdminError> {
        for tenant in self.storage.tenants().list().await? {
            let apps = self.storage.tenant(tenant.id).apps().list().await?;
            let looks = apps.into_iter().map(|app| async move {
                let idle = match app.status {
                    AppStatus::Enabled => None,
                    AppStatus::Disabled => Some("is disabled, and not looked at"),
                    AppStatus::Removing => Some("is being removed, and not looked at"),
                };
                if let Some(what) = idle {
                    return Ok(vec![Finding::ok(format!("app {}", app.appid), what)]);
                }
                let mut found = self.examine_app(&app.appid).await?;
                found.extend(self.examine_push(tenant.id, &app).await?);
                Ok::<_, AdminError>(found)
            });
            let mut looks = stream::iter(looks).buffered(AT_ONCE);
            while let Some(found) = looks.next().await {
                findings.extend(found?);
            }
        }
        Ok(())
    }

    async fn examine_app(&self, appid: &WechatAppid) -> Result<Vec<Finding>, AdminError> {
        // Removed since it was listed.
        let Some(found) = self.storage.apps().find(appid).await? else { return Ok(Vec::new()) };
        let subject = format!("app {appid}");
        let (current, previous) = match (&found.credential, found.app.credential.component()) {
            (Credential::AppSecret(AppSecrets { current, previous }), _) => (current, previous),
            (Credential::Component { .. }, component) => {
                return Ok(component.map(|component| standing(&found.app, component)).into_iter().collect());
            }
        };
        let mut findings = vec![self.secret(appid, current, previous.is_some()).await];
        let alone = AppSecrets::only(current.clone());
        findings.push(match self.wechat.stable_token(appid, &alone, TokenMode::Normal).await {
            Ok(token) => {
                let minutes = token.expires_in.as_secs() / 60;
                Finding::ok(subject, format!("has an access_token for another {minutes} minutes"))
            }
            Err(CallError::Refused(refused)) => {
                let what = format!("gets no access_token: {} (errcode {})", refused.meaning(), refused.errcode);
                let advice = match refused.our_address {
                    Some(address) => {
                        format!("enter {address} in the app's IP whitelist: it is the address that we come from")
                    }
                    None => mend(refused.errcode).to_owned(),
                };
                Finding::problem(subject, what, advice)
            }
            Err(error) => Finding::problem(subject, format!("gets no access_token: {error}"), AGAIN),
        });
        if let Some(signed) = SignedCalls::of(&found.api_security).ok().flatten() {
            findings.push(self.signed_calls(&found, &signed).await);
        }
        Ok(findings)
    }

    /// A call that changes nothing, signed and encrypted.
    async fn signed_calls(&self, found: &StoredApp, signed: &SignedCalls) -> Finding {
        let appid = &found.app.appid;
        let subject = format!("app {appid}");
        let asked = async {
            let issued = self.issued(found).await?;
            let path = SIGNED_INTERFACE.parse().map_err(|_| CallError::Unavailable)?;
            let wechat = self.wechat.clone();
            let ask = async move |access: Access<'_>| wechat.daily_quota(&access, &path).await;
            signed.make(Access::plain(appid, &issued.token), self.clock.now(), &ask).await
        };
        match asked.await {
            Ok(_) if signed.certificate_ends() => {
                let advice = "give the new one from WeChat's console with `wxgate app api-security set`";
                Finding::advice(subject, "WeChat is about to replace the certificate that signs its answers", advice)
            }
            Ok(_) => Finding::ok(subject, "its signed and encrypted calls are accepted"),
            Err(error) => {
                let advice = "compare keys and serials with WeChat's console: `wxgate app show` has their fingerprints";
                Finding::problem(subject, format!("its signed calls fail: {}", in_words(&error)), advice)
            }
        }
    }

    /// WeChat looks at the secret before it looks at the code: a code of nobody's is refused, and says all.
    async fn secret(&self, appid: &WechatAppid, secret: &AppSecret, has_another: bool) -> Finding {
        let subject = format!("app {appid}");
        let Ok(code) = format!("0{}", encoding::to_base64url(self.random.bytes::<23>())).parse::<LoginCode>() else {
            return Finding::advice(subject, "the secret was not tried", AGAIN);
        };
        let alone = AppSecrets::only(secret.clone());
        match self.wechat.code_to_session(appid, &alone, &code).await {
            Ok(_) => Finding::ok(subject, "WeChat accepts the secret"),
            Err(ExchangeError::Rejected(rejected)) => match rejected.class {
                RejectedClass::CodeInvalid | RejectedClass::CodeUsed | RejectedClass::UserBlocked if has_another => {
                    let advice = "the secret before it is still kept: drop it when nothing else needs it";
                    Finding::advice(subject, "WeChat accepts the new secret", advice)
                }
                RejectedClass::CodeInvalid | RejectedClass::CodeUsed | RejectedClass::UserBlocked => {
                    Finding::ok(subject, "WeChat accepts the secret")
                }
                RejectedClass::Busy | RejectedClass::RateLimited | RejectedClass::QuotaExhausted => {
                    Finding::advice(subject, format!("the secret was not tried: {}", rejected.meaning()), AGAIN)
                }
                RejectedClass::NotAuthorized | RejectedClass::Misconfigured => {
                    let what = format!("{} (errcode {})", rejected.meaning(), rejected.errcode);
                    Finding::problem(subject, what, mend(rejected.errcode))
                }
            },
            Err(error) => Finding::problem(subject, error.to_string(), AGAIN),
        }
    }
}

/// An interface that takes signed calls, to ask about its quota.
const SIGNED_INTERFACE: &str = "/wxa/business/getuserphonenumber";

const AGAIN: &str = "look again in a minute; if it stays so, see whether this machine reaches api.weixin.qq.com";

/// What an operator does about an errcode.
fn mend(errcode: i64) -> &'static str {
    match errcode {
        40001 | 40125 => "give the present AppSecret with `wxgate app rotate-secret`; WeChat's console makes a new one",
        40013 => "compare the appid with WeChat's console, letter by letter",
        40243 => "unfreeze the AppSecret in WeChat's console",
        89501 | 89503 | 89506 | 89507 => "let the app's administrator confirm our address in WeChat",
        _ => "see WeChat's console of the app; docs/operate.md says more",
    }
}
