//! How strictly a page is read.

use serde_json::{Map, Value};
use wxgate_crypto::strict_json;
use wxgate_domain::{Revocation, RevocationEffect, RevokedSubject, Timestamp};

use super::{MAX_ENTRIES, REVOCATIONS, RevocationPage, event};
use crate::claims::LAST_SECOND;

/// What a security event token says beside its page.
pub(super) struct PageClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    pub(super) iat: i64,
    pub(super) page: RevocationPage,
}

/// Reads the payload of a token whose signature was verified; `None` for anything that is not exactly a page.
///
/// Unknown claims beside the page are ignored, inside it nothing is.
pub(super) fn claims(payload: &[u8]) -> Option<PageClaims> {
    let Ok(Value::Object(claims)) = strict_json::parse(payload) else { return None };
    text(&claims, "jti")?;
    let events = claims.get("events")?.as_object().filter(|events| events.len() == 1)?;
    Some(PageClaims {
        iss: text(&claims, "iss")?.to_owned(),
        aud: text(&claims, "aud")?.to_owned(),
        iat: seconds(&claims, "iat")?,
        page: page(events.get(REVOCATIONS)?.as_object()?)?,
    })
}

fn page(members: &Map<String, Value>) -> Option<RevocationPage> {
    let entries = members.get("entries")?.as_array().filter(|entries| entries.len() <= MAX_ENTRIES)?;
    let page = RevocationPage {
        as_of: moment(members, "as_of")?,
        first: number(members, "first")?,
        last: number(members, "last")?,
        cursor: text(members, "cursor")?.to_owned(),
        snapshot: members.get("snapshot")?.as_bool()?,
        more: members.get("more")?.as_bool()?,
        entries: entries.iter().map(|value| entry(value.as_object()?)).collect::<Option<_>>()?,
    };
    (members.len() == 7 && page.is_in_order()).then_some(page)
}

fn entry(members: &Map<String, Value>) -> Option<Revocation> {
    let subject = members.get("subject")?.as_object().filter(|subject| subject.len() == 2)?;
    let expires = match members.get("expires") {
        Some(_) => Some(moment(members, "expires")?),
        None => None,
    };
    let entry = Revocation {
        seq: number(members, "seq")?,
        at: moment(members, "at")?,
        subject: RevokedSubject::parse(text(subject, "kind")?, text(subject, "id")?).ok()?,
        effect: RevocationEffect::from_word(text(members, "effect")?)?,
        expires,
    };
    let whole = members.len() == 5 + usize::from(expires.is_some());
    // A block that says when it may be forgotten contradicts itself.
    let ends = expires.is_none() || entry.effect == RevocationEffect::Ended;
    (whole && ends && event(&entry) == Some(text(members, "event")?)).then_some(entry)
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}

fn number(members: &Map<String, Value>, name: &str) -> Option<u64> {
    members.get(name)?.as_u64()
}

fn seconds(members: &Map<String, Value>, name: &str) -> Option<i64> {
    members.get(name)?.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds))
}

fn moment(members: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    seconds(members, name).map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1_000)))
}
