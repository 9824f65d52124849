//! What a push asks for, in one transaction with the note that it was there.

use wxgate_domain::{EraseCause, Event, OpenId, ProfileParts, PushSettings, TenantId, UserId, Withdrawn};
use wxgate_storage::{Arrival, Arrived, NewAuditEntry, Storage, StorageError, Tx};
use wxgate_wechat_client::PushedEvent;

use super::PushError;
use super::frame::Push;
use crate::service::again::again_while;

/// The outcomes of entries in the audit log.
const DONE: &str = "done";
const NOBODY: &str = "nobody known";
const NOTED: &str = "not encrypted: only noted";

/// Notes a push that asks for nothing.
pub(super) async fn note(storage: &Storage, tenant: TenantId, arrival: &Arrival) -> Result<(), StorageError> {
    let noted = async {
        let tx = storage.begin().await?;
        tx.tenant(tenant).push_marks().arrive(arrival).await?;
        tx.commit().await
    };
    match noted.await {
        // The same at another node.
        Err(StorageError::NotUnique { .. }) => Ok(()),
        outcome => outcome,
    }
}

/// Carries out a push, unless it was there before.
pub(super) async fn carry_out(storage: &Storage, settings: &PushSettings, push: &Push) -> Result<(), PushError> {
    // A login of the same user, or the same push at another node.
    let is_in_the_way = |error: &StorageError| matches!(error, StorageError::Busy | StorageError::NotUnique { .. });
    match again_while!(is_in_the_way, once(storage, settings, push))? {
        Arrived::Replayed => Err(PushError::Replayed),
        _ => Ok(()),
    }
}

async fn once(storage: &Storage, settings: &PushSettings, push: &Push) -> Result<Arrived, StorageError> {
    let tx = storage.begin().await?;
    let arrived = tx.tenant(settings.tenant).push_marks().arrive(&push.arrival).await?;
    if arrived == Arrived::Replayed {
        return Ok(arrived);
    }
    if arrived == Arrived::New {
        let deed = Deed { tx: &tx, settings, push };
        if let Some(entry) = deed.done().await? {
            tx.audit(Some(settings.tenant)).record(&entry).await?;
        }
    }
    tx.commit().await?;
    Ok(arrived)
}

/// A push that is being carried out.
struct Deed<'a> {
    tx: &'a Tx,
    settings: &'a PushSettings,
    push: &'a Push,
}

impl Deed<'_> {
    /// Does it; what is written down of it, if that is the operator's affair.
    async fn done(&self) -> Result<Option<NewAuditEntry>, StorageError> {
        let Some(said) = &self.push.said else { return Ok(Some(self.entry("push.unreadable", None, NOBODY))) };
        Ok(match &said.event {
            PushedEvent::UserInfoModified { openid } => Some(self.modified(openid.as_ref()).await?),
            PushedEvent::AuthorizationRevoked { openid, revoked } => Some(self.revoked(openid, revoked).await?),
            PushedEvent::AuthorizationCancelled { openid } => Some(self.cancelled(openid).await?),
            // A ticket that went astray is a secret: it is nobody's here.
            PushedEvent::Platform(_) => None,
            PushedEvent::Other { from } => {
                self.forward(from.as_ref()).await?;
                None
            }
        })
    }

    /// WeChat cleaned a profile. Whoever made that up has cost the user a nickname, so it counts in clear too.
    async fn modified(&self, openid: Option<&OpenId>) -> Result<NewAuditEntry, StorageError> {
        let action = "push.user-info-modified";
        let user = match openid {
            Some(openid) => self.user(openid).await?,
            None => None,
        };
        let Some(user) = user else { return Ok(self.entry(action, None, NOBODY)) };
        self.forget(user, ProfileParts::ALL).await?;
        self.tell(&Event::ProfileCleared { user }).await?;
        Ok(self.entry(action, Some(user), DONE))
    }

    /// A user took back some information: exactly that is forgotten.
    async fn revoked(&self, openid: &OpenId, revoked: &[u32]) -> Result<NewAuditEntry, StorageError> {
        let action = "push.authorization-revoke";
        let numbers: Vec<_> = revoked.iter().map(u32::to_string).collect();
        let detail = Some(format!("RevokeInfo {}", numbers.join(",")));
        let entry = match self.user(openid).await? {
            None => self.entry(action, None, NOBODY),
            Some(user) if !self.push.is_proved => self.only_noted(action, user, openid),
            Some(user) => {
                let withdrawn = Withdrawn::of(revoked);
                if self.forget(user, withdrawn.profile).await? {
                    self.tell(&Event::ProfileCleared { user }).await?;
                }
                if withdrawn.phone && self.tx.tenant(self.settings.tenant).phones().release(user).await? {
                    self.tell(&Event::PhoneMoved { from: user, to: None }).await?;
                }
                let appid = self.settings.appid.clone();
                self.tell(&Event::AuthorizationRevoked { user, appid, revoked: revoked.to_vec() }).await?;
                self.entry(action, Some(user), DONE)
            }
        };
        Ok(NewAuditEntry { detail, ..entry })
    }

    /// A user closed their WeChat account: they are erased.
    async fn cancelled(&self, openid: &OpenId) -> Result<NewAuditEntry, StorageError> {
        let action = "push.authorization-cancellation";
        let Some(user) = self.user(openid).await? else {
            if self.push.is_proved {
                // What was forwarded of them is all that there may be.
                self.tx.tenant(self.settings.tenant).events().forget(self.settings.app, openid).await?;
            }
            return Ok(self.entry(action, None, NOBODY));
        };
        if !self.push.is_proved {
            return Ok(self.only_noted(action, user, openid));
        }
        self.tx.tenant(self.settings.tenant).users().erase(user, EraseCause::Withdrawal).await?;
        Ok(self.entry(action, Some(user), DONE))
    }

    /// Anything else is the tenant's own affair.
    async fn forward(&self, from: Option<&OpenId>) -> Result<(), StorageError> {
        let user = match from {
            Some(openid) => self.user(openid).await?,
            None => None,
        };
        let (appid, message) = (self.settings.appid.clone(), self.push.message.clone());
        let from = from.map(|openid| (self.settings.app, openid.clone()));
        self.tell(&Event::PushForwarded { appid, user, from, is_proved: self.push.is_proved, message }).await
    }

    async fn forget(&self, user: UserId, parts: ProfileParts) -> Result<bool, StorageError> {
        self.tx.tenant(self.settings.tenant).users().clear_profile(user, parts).await
    }

    async fn user(&self, openid: &OpenId) -> Result<Option<UserId>, StorageError> {
        self.tx.tenant(self.settings.tenant).users().of_openid(self.settings.app, openid).await
    }

    async fn tell(&self, event: &Event) -> Result<(), StorageError> {
        self.tx.tenant(self.settings.tenant).events().tell(event).await
    }

    /// What is written down, about a user or, where none is known, about the app.
    fn entry(&self, action: &str, user: Option<UserId>, outcome: &str) -> NewAuditEntry {
        NewAuditEntry {
            actor: "wechat".to_owned(),
            action: action.to_owned(),
            target: user.map_or_else(|| self.settings.appid.to_string(), |user| user.to_string()),
            outcome: outcome.to_owned(),
            ..NewAuditEntry::default()
        }
    }

    /// What came in clear may be anybody's word: the operator looks at it, and decides.
    fn only_noted(&self, action: &str, user: UserId, openid: &OpenId) -> NewAuditEntry {
        NewAuditEntry { personal: Some(openid.to_string()), ..self.entry(action, Some(user), NOTED) }
    }
}
