//! What becomes of the Token and the EncodingAESKey of an app's pushes, or of a platform's, when they are renewed.

use wxgate_crypto::Random;
use wxgate_crypto::push::{EncodingAesKey, PushKeys, PushToken};

/// What becomes of a token or a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Renewal<T> {
    /// It stays as it is.
    #[default]
    Stays,
    /// Another one is made.
    Made,
    /// This one takes its place.
    Given(T),
}

impl<T: Eq> Renewal<T> {
    /// Whether another one is made here, so that somebody must be told.
    pub fn is_made(&self) -> bool {
        *self == Self::Made
    }

    /// The present one and the one before, renewed.
    fn of(self, current: T, previous: Option<T>, make: impl FnOnce() -> T) -> (T, Option<T>) {
        let next = match self {
            Self::Stays => return (current, previous),
            Self::Made => make(),
            Self::Given(next) => next,
        };
        // The same twice is no change.
        if next == current { (next, previous) } else { (next, Some(current)) }
    }
}

/// What becomes of both. Those before count beside the new ones until they are forgotten.
#[derive(Clone, Debug, Default)]
pub struct PushRenewal {
    /// Of the Token.
    pub token: Renewal<PushToken>,
    /// Of the EncodingAESKey.
    pub key: Renewal<EncodingAesKey>,
}

impl PushRenewal {
    /// Both, renewed.
    pub(super) fn of(self, before: PushKeys, random: &Random) -> PushKeys {
        let make = || PushToken::generate(random);
        let (token, previous_token) = self.token.of(before.token, before.previous_token, make);
        let make = || EncodingAesKey::generate(random);
        let (current, previous) = self.key.of(before.current, before.previous, make);
        PushKeys { token, previous_token, current, previous }
    }
}

/// Both once the change is over.
pub(super) fn without_previous(keys: PushKeys) -> PushKeys {
    PushKeys { previous_token: None, previous: None, ..keys }
}
