//! What an answer of WeChat says about the AppSecret that came with the question.

use crate::client::Exchanged;
use crate::errcode::{self, RejectedClass};
use crate::error::ExchangeError;

/// Whether an AppSecret is the app's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretCheck {
    /// WeChat accepted it: the answer is about the code.
    Accepted,
    /// WeChat refused it, or does not know the appid.
    Refused {
        /// WeChat's number for why.
        errcode: i64,
        /// What it means, for the operator.
        meaning: &'static str,
    },
    /// WeChat could not be asked, or said nothing about it.
    Unknown,
}

/// Errcodes that are about the appid or its secret.
const REFUSED: [i64; 6] = [40001, 40013, errcode::WRONG_SECRET, 40243, 41002, 41004];

impl SecretCheck {
    pub(crate) fn of(outcome: &Result<Exchanged, ExchangeError>) -> Self {
        let rejected = match outcome {
            Ok(_) => return Self::Accepted,
            Err(ExchangeError::Rejected(rejected)) => rejected,
            Err(_) => return Self::Unknown,
        };
        if REFUSED.contains(&rejected.errcode) {
            return Self::Refused { errcode: rejected.errcode, meaning: rejected.meaning() };
        }
        match rejected.class {
            RejectedClass::CodeInvalid | RejectedClass::CodeUsed | RejectedClass::UserBlocked => Self::Accepted,
            // Limits, whitelists and frozen accounts come before or after the secret, depending on WeChat's server.
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Rejected;

    fn told(errcode: i64) -> SecretCheck {
        let rejected = Rejected { class: errcode::class(errcode), errcode, rid: None, is_mock_code: false };
        SecretCheck::of(&Err(rejected.into()))
    }

    #[test]
    fn a_complaint_about_the_code_means_that_the_secret_is_right() {
        for errcode in [40029, 40163, 40226, 41008] {
            assert_eq!(told(errcode), SecretCheck::Accepted, "{errcode}");
        }
    }

    #[test]
    fn a_complaint_about_appid_or_secret_is_a_refusal_with_its_meaning() {
        for errcode in REFUSED {
            assert_eq!(told(errcode), SecretCheck::Refused { errcode, meaning: errcode::meaning(errcode) });
        }
    }

    #[test]
    fn silence_limits_and_unknown_numbers_prove_nothing() {
        for errcode in [-1, 40164, 45009, 45011, 50007, 99_999] {
            assert_eq!(told(errcode), SecretCheck::Unknown, "{errcode}");
        }
        for error in [ExchangeError::Timeout, ExchangeError::Unavailable, ExchangeError::Overloaded] {
            assert_eq!(SecretCheck::of(&Err(error)), SecretCheck::Unknown);
        }
    }
}
