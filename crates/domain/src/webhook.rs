//! A webhook, and what became of each attempt to tell it of an event.

/// Whether a webhook is told of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookStatus {
    /// It is.
    Enabled,
    /// An operator disabled it: what happens meanwhile it never hears of, what was waiting waits on.
    Disabled,
    /// The receiver answered 410: it is not there any more.
    Gone,
}

impl WebhookStatus {
    const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::Gone];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Gone => "gone",
        }
    }

    /// The status of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// How far one event is on its way to one webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be told, for the first time or again.
    Waiting,
    /// The receiver took it.
    Delivered,
    /// Given up after a day; an operator can have it told again.
    Failed,
    /// Given up because the user whom it is about was erased: nobody knows any more what it said.
    Erased,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Failed, Self::Erased];

    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Erased => "erased",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}
