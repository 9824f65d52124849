//! A phone number: how it is written, how it is shown, and whether WeChat vouches for it.

use std::fmt;
use std::str::FromStr;

use wxgate_crypto::Secret;

use crate::time::Timestamp;

/// A phone number in its two parts. It is personal data, so it does not show in `Debug`.
#[derive(Clone, Debug)]
pub struct PhoneNumber {
    country_code: Secret<String>,
    national: Secret<String>,
}

/// Text that is no phone number. It says what one looks like, and nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number of at most 15 digits with its country code, such as +8613800138000")]
pub struct MalformedPhone;

impl PhoneNumber {
    /// A number of a country code and the rest, both digits only.
    ///
    /// # Errors
    /// More digits than E.164 section 6 allows: 15, of which the country code is up to three; or fewer than any number has.
    pub fn new(country_code: &str, national: &str) -> Result<Self, MalformedPhone> {
        let plausible = |text: &str, shortest, longest| {
            (shortest..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_number = plausible(country_code, 1, 3) && plausible(national, 4, 15 - country_code.len());
        let number = || Self { country_code: country_code.to_owned().into(), national: national.to_owned().into() };
        is_number.then(number).ok_or(MalformedPhone)
    }

    /// The country code without a plus: `86`.
    pub fn country_code(&self) -> &str {
        self.country_code.expose()
    }

    /// Without the country code, digits only.
    pub fn national(&self) -> &str {
        self.national.expose()
    }

    /// The one text for one number: `+8613800138000`.
    pub fn e164(&self) -> E164 {
        E164(Secret::new(format!("+{}{}", self.country_code(), self.national())))
    }

    /// What may be shown of it, so that its owner knows it again and nobody can dial it: `+86 138****8000`.
    pub fn masked(&self) -> String {
        let national = self.national();
        // Of a short number less is shown, so that never more than seven in eleven digits are.
        let (first, last) = ((national.len() / 3).min(3), ((national.len() + 1) / 3).min(4));
        let first = national.get(..first).unwrap_or_default();
        let last = national.get(national.len() - last..).unwrap_or_default();
        format!("+{} {first}****{last}", self.country_code())
    }
}

impl PartialEq for PhoneNumber {
    fn eq(&self, other: &Self) -> bool {
        (self.country_code(), self.national()) == (other.country_code(), other.national())
    }
}

impl Eq for PhoneNumber {}

/// A phone number as E.164 writes it, `+` and digits: equal for equal numbers, so it is what numbers are found by. It does
/// not show in `Debug`.
#[derive(Clone, Debug)]
pub struct E164(Secret<String>);

impl E164 {
    /// The text: `+8613800138000`.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for E164 {
    type Err = MalformedPhone;

    /// Reads a number with a plus; spaces and hyphens between the digits, as people write them, do not count.
    fn from_str(text: &str) -> Result<Self, MalformedPhone> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let is_number = digits.strip_prefix('+').is_some_and(|digits| {
            (6..=15).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        is_number.then(|| Self(Secret::new(digits))).ok_or(MalformedPhone)
    }
}

impl PartialEq for E164 {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for E164 {}

/// The phone number of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone {
    /// The number.
    pub number: PhoneNumber,
    /// Whether WeChat vouches for it. Whatever is not verified came from data that can be forged: no claim, no lookup and no
    /// merge is made of it.
    pub is_verified: bool,
    /// When it became the user's.
    pub bound_at: Timestamp,
    /// When it leaves the user, if somebody else has proved to have it now.
    pub leaves_at: Option<Timestamp>,
}

impl Phone {
    /// The number, if WeChat vouches for it.
    pub fn verified(&self) -> Option<&PhoneNumber> {
        self.is_verified.then_some(&self.number)
    }
}

impl fmt::Display for Phone {
    /// Writes what may be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.number.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_a_number_is_hidden() {
        for (country, national, masked) in [
            ("86", "13800138000", "+86 138****8000"),
            ("852", "51234567", "+852 51****567"),
            ("1", "2025550123", "+1 202****123"),
            ("290", "2345", "+290 2****5"),
        ] {
            assert_eq!(PhoneNumber::new(country, national).unwrap().masked(), masked);
        }
    }

    #[test]
    fn a_number_has_one_text() {
        let number = PhoneNumber::new("86", "13800138000").unwrap();
        for text in ["+8613800138000", "+86 138 0013 8000", "+86-138-0013-8000"] {
            assert_eq!(text.parse::<E164>(), Ok(number.e164()), "{text}");
        }
        let full_width = "+86１３８００１３８０００";
        for text in ["", "13800138000", "+", "+0123456", "+86138001380001234", "+8613800138000x", full_width] {
            assert_eq!(text.parse::<E164>(), Err(MalformedPhone), "{text}");
        }
        for (country, national) in [("", "13800138000"), ("8613", "8001380"), ("86", "123"), ("86", "13800138000123")] {
            assert_eq!(PhoneNumber::new(country, national), Err(MalformedPhone), "{country} {national}");
        }
    }

    #[test]
    fn a_number_does_not_show() {
        let number = PhoneNumber::new("86", "13800138000").unwrap();
        let shown = format!("{number:?} {:?}", number.e164());
        assert!(!shown.contains("138"), "{shown}");
    }
}
