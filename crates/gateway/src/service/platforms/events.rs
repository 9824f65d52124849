//! What WeChat pushes to a platform: its tickets, and which apps authorised it or withdrew.
//!
//! Pushes to platforms are XML in safe mode only. Nothing is answered before it is committed; what takes longer (a code is
//! to be exchanged) is done afterwards, from the database.

use std::sync::Arc;
use std::time::Duration;

use wxgate_crypto::Digest;
use wxgate_crypto::push::{Stamp, encrypt_of};
use wxgate_domain::{Platform, Timestamp, WechatAppid};
use wxgate_storage::{LeasedToken, NewAuthorization, StorageError};
use wxgate_wechat_client::{PlatformEvent, PushedEvent, PushedMessage};

use super::{PlatformPushError, Platforms, authorizations};
use crate::service::admin::{Caller, Event};
use crate::service::push::{FRESH, is_fresh};

/// How long a time and nonce are remembered: as long as they can come again.
pub(super) const REMEMBERED: Duration = Duration::from_mins(11);

/// Times and nonces that are remembered at once.
pub(super) const SEEN: u64 = 100_000;

/// A push as it came.
#[derive(Clone, Debug)]
pub(crate) struct PlatformPush {
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) msg_signature: String,
    pub(crate) body: Vec<u8>,
}

/// What a push says, once everything about it was checked.
enum Told {
    Platform(PlatformEvent, Timestamp),
    /// Nothing that anything is done about, or what was done before.
    Nothing,
}

impl Platforms {
    /// Accepts a push to a platform: checked, and committed.
    ///
    /// # Errors
    /// [`PlatformPushError`]: nothing happened.
    pub(crate) async fn receive(&self, appid: &WechatAppid, push: &PlatformPush) -> Result<(), PlatformPushError> {
        let received = self.try_to_receive(appid, push).await;
        if let Err(error) = &received {
            tracing::warn!(wechat.platform = %appid, push.refused = error.stage(), "a push to a third-party platform was refused");
        }
        received
    }

    async fn try_to_receive(&self, appid: &WechatAppid, push: &PlatformPush) -> Result<(), PlatformPushError> {
        let found = self.storage.platforms().with_push_keys(appid).await?;
        let (platform, keys) = found.ok_or(PlatformPushError::Unknown)?;
        let platform = Arc::new(platform);
        let stamp = Stamp { timestamp: &push.timestamp, nonce: &push.nonce };
        if push.body.trim_ascii_start().first() != Some(&b'<') {
            return Err(PlatformPushError::Malformed);
        }
        let encrypt = encrypt_of(&push.body).map_err(PlatformPushError::Frame)?;
        let opened = keys.open(&stamp, &push.msg_signature, &encrypt, appid.as_str());
        let opened = opened.map_err(PlatformPushError::Frame)?;
        let now = self.clock.now();
        if !is_fresh(&stamp, now) {
            return Err(PlatformPushError::Stale);
        }
        let (mark, body) = (marked(appid, &stamp), Digest::sha256(encrypt.as_bytes()));
        if let Some(before) = self.seen.get(&mark) {
            // WeChat repeats what it got no answer for, letter by letter. Under other letters it is not WeChat.
            return if before == body { Ok(()) } else { Err(PlatformPushError::Replayed) };
        }
        match read(appid, &opened.message, now)? {
            Told::Platform(event, at) => self.carry_out(&platform, event, at).await?,
            Told::Nothing => {
                tracing::info!(wechat.platform = %appid, "WeChat told a third-party platform something that nothing is done about");
            }
        }
        self.seen.insert(mark, body);
        Ok(())
    }

    async fn carry_out(
        &self,
        platform: &Arc<Platform>,
        event: PlatformEvent,
        at: Timestamp,
    ) -> Result<(), PlatformPushError> {
        match event {
            PlatformEvent::Ticket(ticket) => {
                let tx = self.storage.begin().await?;
                let is_newer = tx.tenant(platform.tenant).platforms().note_ticket(&platform.appid, &ticket, at).await?;
                tx.commit().await?;
                if is_newer && platform.token_until.is_none() {
                    // The first one: whoever logs in next finds a token.
                    let (platforms, platform) = (self.clone(), platform.clone());
                    let of = LeasedToken::Platform(platform.id);
                    self.tasks.spawn(async move { platforms.renew(platform, of).await });
                }
                Ok(())
            }
            PlatformEvent::Authorized { appid, code, pre_auth_code } => {
                let pre_auth_code = pre_auth_code.map(|code| Digest::sha256(code.expose().as_bytes()));
                let new = NewAuthorization { appid, code, pre_auth_code, at };
                self.note_authorization(platform, new).await
            }
            PlatformEvent::Unauthorized { appid } => Ok(self.note_withdrawal(platform, &appid, at).await?),
        }
    }

    /// Keeps the code, and exchanges it beside the answer.
    async fn note_authorization(
        &self,
        platform: &Arc<Platform>,
        new: NewAuthorization,
    ) -> Result<(), PlatformPushError> {
        let tx = self.storage.begin().await?;
        match tx.tenant(platform.tenant).platforms().note_authorization(platform.id, &new).await {
            Ok(true) => tx.commit().await?,
            Ok(false) => return Ok(()),
            Err(StorageError::Full { .. }) => {
                tracing::error!(wechat.platform = %platform.appid, wechat.appid = %new.appid, "an authorisation is not kept: ten thousand are parked already");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // Where there are too many at once, the next look exchanges it.
        let Ok(place) = self.settling.clone().try_acquire_owned() else { return Ok(()) };
        let (platforms, platform) = (self.clone(), platform.clone());
        self.tasks.spawn(async move {
            let _place = place;
            let settled = platforms.settle(&platform, &new.appid).await;
            authorizations::tell(&platform, &new.appid, settled.as_ref().err());
        });
        Ok(())
    }

    /// Deletes the tokens of an app that withdrew. Its users stay; nobody logs in.
    async fn note_withdrawal(
        &self,
        platform: &Platform,
        appid: &WechatAppid,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let tx = self.storage.begin().await?;
        let was_attached = tx.tenant(platform.tenant).platforms().note_withdrawal(platform, appid, at).await?;
        if was_attached {
            let event = Event::of(platform.tenant, "platform.withdrawn", appid);
            tx.audit(event.tenant).record(&event.entry(&Caller::system())).await?;
            tracing::warn!(wechat.platform = %platform.appid, wechat.appid = %appid, "an app withdrew from its third-party platform");
        }
        tx.commit().await?;
        self.held.invalidate(&LeasedToken::App(platform.id, appid.clone())).await;
        Ok(())
    }
}

/// A push's time and nonce, of this platform.
fn marked(appid: &WechatAppid, stamp: &Stamp<'_>) -> Digest {
    Digest::sha256(format!("{appid} {} {}", stamp.timestamp, stamp.nonce).as_bytes())
}

fn read(appid: &WechatAppid, message: &[u8], now: Timestamp) -> Result<Told, PlatformPushError> {
    let message = PushedMessage::read(message).ok_or(PlatformPushError::Malformed)?;
    if message.appid.as_ref().is_some_and(|named| named != appid) {
        return Err(PlatformPushError::OtherPlatform);
    }
    let PushedEvent::Platform(event) = message.event else { return Ok(Told::Nothing) };
    let written = message.created_at.and_then(|seconds| seconds.checked_mul(1_000)).map(Timestamp::from_millis);
    let written = written.ok_or(PlatformPushError::Malformed)?;
    // Nothing after it would count as newer.
    if written > now.plus(FRESH) {
        return Err(PlatformPushError::Stale);
    }
    Ok(Told::Platform(event, written))
}
