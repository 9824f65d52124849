//! What WeChat pushes to a platform: its tickets, and which apps authorised it or withdrew.
//!
//! Pushes to platforms are XML in safe mode only. Nothing is answered before it is committed; what takes longer (a code is
//! to be exchanged) is done afterwards, from the database.

use std::sync::Arc;

use wxgate_crypto::Digest;
use wxgate_crypto::push::{Stamp, encrypt_of};
use wxgate_domain::{Platform, Timestamp, WechatAppid};
use wxgate_storage::{Arrival, Arrived, LeasedToken, NewAuthorization, Receiver, StorageError, Tx};
use wxgate_wechat_client::{PlatformEvent, PushedEvent, PushedMessage};

use super::{PlatformPushError, Platforms, authorizations};
use crate::service::admin::{Caller, Event};
use crate::service::again::again_while;
use crate::service::push::{FRESH, in_time, is_fresh};

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
    /// [`PlatformPushError`]: nothing happened, or after [`PlatformPushError::Late`] it still does.
    pub(crate) async fn receive(&self, appid: &WechatAppid, push: &PlatformPush) -> Result<(), PlatformPushError> {
        let received = in_time(PlatformPushError::Late, self.try_to_receive(appid, push)).await;
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
        let told = read(appid, &opened.message, now)?;
        let arrival = Arrival {
            receiver: Receiver::Platform(platform.id),
            stamp: marked(&stamp),
            body: Digest::sha256(encrypt.as_bytes()),
            message: None,
        };
        // It goes on when WeChat has left.
        let platforms = self.clone();
        let doing = self.tasks.spawn(async move { platforms.note_and_go_on(&platform, &arrival, &told).await });
        doing.await.map_err(|_| PlatformPushError::Late)?
    }

    async fn note_and_go_on(
        &self,
        platform: &Arc<Platform>,
        arrival: &Arrival,
        told: &Told,
    ) -> Result<(), PlatformPushError> {
        // The same push at another node.
        let is_in_the_way = |error: &PlatformPushError| {
            matches!(error, PlatformPushError::Storage(StorageError::Busy | StorageError::NotUnique { .. }))
        };
        let next = again_while!(is_in_the_way, self.once(platform, arrival, told))?;
        self.go_on(platform, next).await;
        Ok(())
    }

    /// Carries out what a push says, in one transaction with the note that it was there.
    async fn once(&self, platform: &Platform, arrival: &Arrival, told: &Told) -> Result<Next, PlatformPushError> {
        let tx = self.storage.begin().await?;
        match tx.tenant(platform.tenant).push_marks().arrive(arrival).await? {
            // WeChat repeats what it got no answer for, letter by letter.
            Arrived::Again => return Ok(Next::Nothing),
            // Under other letters it is not WeChat.
            Arrived::Replayed => return Err(PlatformPushError::Replayed),
            Arrived::New => {}
        }
        let next = match told {
            Told::Platform(event, at) => carry_out(&tx, platform, event, *at).await?,
            Told::Nothing => {
                tracing::info!(wechat.platform = %platform.appid, "WeChat told a third-party platform something that nothing is done about");
                Next::Nothing
            }
        };
        tx.commit().await?;
        Ok(next)
    }

    /// What goes on beside the answer.
    async fn go_on(&self, platform: &Arc<Platform>, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Renew => {
                let (platforms, platform) = (self.clone(), platform.clone());
                let of = LeasedToken::Platform(platform.id);
                self.tasks.spawn(async move { platforms.renew(platform, of).await });
            }
            Next::Settle(appid) => {
                // Where there are too many at once, the next look exchanges it.
                let Ok(place) = self.settling.clone().try_acquire_owned() else { return };
                let (platforms, platform) = (self.clone(), platform.clone());
                self.tasks.spawn(async move {
                    let _place = place;
                    let settled = platforms.settle(&platform, &appid).await;
                    authorizations::tell(&platform, &appid, settled.as_ref().err());
                });
            }
            Next::Forget(appid) => self.held.invalidate(&LeasedToken::App(platform.id, appid)).await,
        }
    }
}

/// What is to be done once a push is committed.
enum Next {
    Nothing,
    /// The first ticket came: whoever logs in next finds a token.
    Renew,
    /// An app authorised the platform: its code is to be exchanged.
    Settle(WechatAppid),
    /// An app withdrew: its token is used no more.
    Forget(WechatAppid),
}

async fn carry_out(tx: &Tx, platform: &Platform, event: &PlatformEvent, at: Timestamp) -> Result<Next, StorageError> {
    let rows = tx.tenant(platform.tenant).platforms();
    match event {
        PlatformEvent::Ticket(ticket) => {
            let is_newer = rows.note_ticket(&platform.appid, ticket, at).await?;
            Ok(if is_newer && platform.token_until.is_none() { Next::Renew } else { Next::Nothing })
        }
        PlatformEvent::Authorized { appid, code, pre_auth_code } => {
            let pre_auth_code = pre_auth_code.as_ref().map(|code| Digest::sha256(code.expose().as_bytes()));
            let new = NewAuthorization { appid: appid.clone(), code: code.clone(), pre_auth_code, at };
            match rows.note_authorization(platform.id, &new).await {
                Ok(true) => Ok(Next::Settle(new.appid)),
                Ok(false) => Ok(Next::Nothing),
                Err(StorageError::Full { .. }) => {
                    tracing::error!(wechat.platform = %platform.appid, wechat.appid = %new.appid, "an authorisation is not kept: ten thousand are parked already");
                    Ok(Next::Nothing)
                }
                Err(error) => Err(error),
            }
        }
        PlatformEvent::Unauthorized { appid } => {
            // Its tokens are deleted. Its users stay; nobody logs in.
            if rows.note_withdrawal(platform, appid, at).await? {
                let event = Event::of(platform.tenant, "platform.withdrawn", appid);
                tx.audit(event.tenant).record(&event.entry(&Caller::system())).await?;
                tracing::warn!(wechat.platform = %platform.appid, wechat.appid = %appid, "an app withdrew from its third-party platform");
            }
            Ok(Next::Forget(appid.clone()))
        }
    }
}

/// A push's time and nonce.
fn marked(stamp: &Stamp<'_>) -> Digest {
    Digest::sha256(format!("{} {}", stamp.timestamp, stamp.nonce).as_bytes())
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
