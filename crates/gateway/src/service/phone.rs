//! A user's phone number: from a code of the phone button, or from the data that older clients get, to the number that is
//! theirs.
//!
//! Source: WeChat, "API: getPhoneNumber" and "API: checkEncryptedData". A code is exchanged once, whoever sends it how
//! often (`exchange.rs`), since each exchange costs money. Data is believed only if WeChat says that it made the
//! ciphertext: without a MAC the cipher can be forged from other data of the same key.

mod confirm;
mod error;
mod exchange;
mod flights;

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use wxgate_crypto::{MacKey, Random};
use wxgate_domain::{Clock, MergeGrant, OpenedSession, Phone, PhoneNumber, Timestamp};
use wxgate_storage::{Binding, NewPhone, Storage, StorageError};
use wxgate_wechat_client::{Client, PhoneCode, phone_in_data};

use super::access_tokens::AccessTokens;
use super::again::again_if_busy;
use super::directory::ActiveApp;
use super::merge_tokens::{IssuedMergeToken, MergeTokens};
use super::user_data::{UserData, UserDataRequest};

pub(crate) use self::error::{CodeError, PhoneError};
use self::flights::Flights;

/// Binds phone numbers.
#[derive(Clone)]
pub(crate) struct Phones {
    pub(crate) clock: Clock,
    pub(crate) storage: Storage,
    pub(crate) wechat: Client,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) merge_tokens: MergeTokens,
    pub(crate) user_data: UserData,
    /// Exchanges under way, which outlive those who wait for them.
    pub(crate) tasks: TaskTracker,
    /// Tells phone codes apart in memory; it is this process's own.
    key: MacKey,
    flights: Flights,
}

/// How a number may become a user's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// It may take the place of another number: a fresh login code proved that it is the user who asks.
    pub(crate) stepped_up: bool,
    /// If it is somebody else's, it is to leave them.
    pub(crate) moves: bool,
}

/// A number that is, or will be, the user's.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) outcome: GivenOutcome,
    pub(crate) phone: Phone,
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenOutcome {
    /// It is the user's now.
    Bound,
    /// It was the user's before.
    AlreadyYours,
    /// It leaves somebody else then, and is whose who asks again.
    Leaving(Timestamp),
}

/// A number that is somebody else's, and what whoever is both users can do about it.
#[derive(Debug)]
pub(crate) struct TakenPhone {
    /// What may be shown of the number.
    pub(crate) masked: String,
    pub(crate) token: IssuedMergeToken,
}

/// What `Phones` is made of.
pub(crate) struct PhoneParts {
    pub(crate) wechat: Client,
    pub(crate) access_tokens: AccessTokens,
    pub(crate) user_data: UserData,
    pub(crate) tasks: TaskTracker,
}

impl Phones {
    pub(crate) fn new(parts: PhoneParts, clock: Clock, storage: Storage, random: &Random) -> Self {
        let PhoneParts { wechat, access_tokens, user_data, tasks } = parts;
        Self {
            clock,
            wechat,
            access_tokens,
            merge_tokens: MergeTokens { storage: storage.clone() },
            storage,
            user_data,
            tasks,
            key: MacKey::new(wxgate_crypto::KeyId::from(0), random.secret()),
            flights: Flights::default(),
        }
    }

    /// Binds the number that a phone code stands for.
    pub(crate) async fn bind_code(
        &self,
        app: &Arc<ActiveApp>,
        session: &OpenedSession,
        code: &PhoneCode,
        terms: Terms,
    ) -> Result<Given, PhoneError> {
        let number = self.number_of(app, &session.openid, code).await?;
        self.bind(app, session, (&number, true), terms).await
    }

    /// Binds the number in phone data. It counts as verified only if WeChat confirms that it made the ciphertext.
    pub(crate) async fn bind_data(
        &self,
        app: &Arc<ActiveApp>,
        session: &OpenedSession,
        data: &UserDataRequest,
        terms: Terms,
    ) -> Result<Given, PhoneError> {
        let opened = self.user_data.read(app, &session.openid, data).await?.map_err(|_| PhoneError::Data)?;
        let number = phone_in_data(&opened).ok_or(PhoneError::Data)?;
        let encrypted = data.encrypted().ok_or(PhoneError::Data)?;
        let is_confirmed = self.confirmed(app, &session.openid, encrypted).await?;
        if !is_confirmed {
            tracing::warn!(wechat.appid = %app.app.appid, session.id = %session.id, "WeChat does not know a ciphertext of phone data that was sent; the number is not believed");
        }
        self.bind(app, session, (&number, is_confirmed), terms).await
    }

    /// Takes the user's number from them; whether they had one.
    pub(crate) async fn release(&self, app: &ActiveApp, session: &OpenedSession) -> Result<bool, PhoneError> {
        let tx = self.storage.begin().await?;
        let released = tx.tenant(app.tenant.id()).phones().release(session.user.id).await?;
        tx.commit().await?;
        Ok(released)
    }

    async fn bind(
        &self,
        app: &ActiveApp,
        session: &OpenedSession,
        (number, is_verified): (&PhoneNumber, bool),
        terms: Terms,
    ) -> Result<Given, PhoneError> {
        let leaves_after = terms.moves.then(|| app.tenant.tenant.policy.phone_move());
        let new = NewPhone { number, is_verified, may_replace: terms.stepped_up, leaves_after };
        let outcome = match self.written(app, session, &new).await? {
            Binding::Bound { .. } => GivenOutcome::Bound,
            Binding::AlreadyYours => GivenOutcome::AlreadyYours,
            Binding::Leaving { at, .. } => GivenOutcome::Leaving(at),
            Binding::Taken { by } => return Err(self.taken(app, session, number, by).await?),
            Binding::HasAnother => return Err(PhoneError::StepUpRequired),
            Binding::WouldWeaken => return Err(PhoneError::Unconfirmed),
        };
        let phones = self.storage.tenant(app.tenant.id()).phones();
        let own = if let GivenOutcome::Leaving(_) = outcome { None } else { phones.of(session.user.id).await? };
        let asked = || Phone { number: number.clone(), is_verified, bound_at: self.clock.now(), leaves_at: None };
        Ok(Given { outcome, phone: own.unwrap_or_else(asked) })
    }

    async fn written(
        &self,
        app: &ActiveApp,
        session: &OpenedSession,
        new: &NewPhone<'_>,
    ) -> Result<Binding, StorageError> {
        again_if_busy!(async {
            let tx = self.storage.begin().await?;
            let binding = tx.tenant(app.tenant.id()).phones().bind(session.user.id, new).await?;
            tx.commit().await?;
            Ok(binding)
        })
    }

    /// Having a number proves no account: whoever is both users proves it by a code of each.
    async fn taken(
        &self,
        app: &ActiveApp,
        session: &OpenedSession,
        number: &PhoneNumber,
        by: wxgate_domain::UserId,
    ) -> Result<PhoneError, StorageError> {
        let tenant = app.tenant.id();
        let phone = self.storage.tenant(tenant).phones().digest(&number.e164()).await?;
        let grant = MergeGrant { user: session.user.id, other: by, session: session.id, phone: Some(phone) };
        let token = self.merge_tokens.issue(tenant, &grant).await?;
        Ok(PhoneError::Taken(Box::new(TakenPhone { masked: number.masked(), token })))
    }
}
