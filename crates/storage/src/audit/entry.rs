//! One entry, and its MAC.

use sea_orm::Set;
use wxgate_crypto::{Digest, MacKey, Random};
use wxgate_domain::{TenantId, Timestamp};

use crate::entity::audit_entry;
use crate::error::StorageError;

/// What stands in place of a commitment where nothing personal ever was.
const NOTHING: [u8; 32] = [0; 32];

/// Something to be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Who.
    pub actor: String,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what: an id or a name of ours, never a secret nor what WeChat calls a person.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// The request that it was.
    pub request_id: Option<String>,
    /// More about it, without anything personal or secret.
    pub detail: Option<String>,
    /// What is personal about it, such as the address that it came from.
    pub personal: Option<String>,
}

/// An entry as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number in its chain, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what.
    pub target: String,
    /// How it ended.
    pub outcome: String,
    /// The request that it was.
    pub request_id: Option<String>,
    /// More about it.
    pub detail: Option<String>,
    /// What is personal about it, until that is forgotten.
    pub personal: Option<String>,
}

impl NewAuditEntry {
    /// The row, without its MAC.
    pub(super) fn to_row(&self, chain: TenantId, seq: i64, now: Timestamp, random: &Random) -> audit_entry::Model {
        let personal = self.personal.as_deref().map(|text| plain(text, 1_000));
        let salt: Option<[u8; 16]> = personal.is_some().then(|| random.bytes());
        let commitment = salt.zip(personal.as_deref()).map_or(NOTHING, |(salt, text)| commitment(&salt, text));
        audit_entry::Model {
            tenant_id: chain.uuid(),
            seq,
            at: now.millis(),
            actor: plain(&self.actor, 200),
            action: plain(&self.action, 64),
            target: plain(&self.target, 200),
            outcome: plain(&self.outcome, 64),
            request_id: self.request_id.as_deref().map(|text| plain(text, 64)),
            detail: self.detail.as_deref().map(|text| plain(text, 1_000)),
            personal,
            salt: salt.map(Vec::from),
            commitment: commitment.to_vec(),
            mac_key: 0,
            mac: Vec::new(),
        }
    }
}

/// The text in one line, as long as its column: nobody writes a second line into a log, nor steers a terminal.
fn plain(text: &str, longest: usize) -> String {
    let breaks = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().take(longest).map(|c| if breaks(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn commitment(salt: &[u8], text: &str) -> [u8; 32] {
    *Digest::sha256(&[salt, text.as_bytes()].concat()).as_bytes()
}

/// Whether what is personal is what was committed to, or is gone without a trace.
pub(super) fn keeps_commitment(row: &audit_entry::Model) -> bool {
    match (&row.personal, &row.salt) {
        (Some(text), Some(salt)) => row.commitment == commitment(salt, text),
        (None, None) => row.commitment.len() == NOTHING.len(),
        _ => false,
    }
}

/// The MAC of a row that comes after the one with the MAC `before`.
pub(super) fn mac(key: &MacKey, row: &audit_entry::Model, before: &[u8]) -> Digest {
    let optional = |text: &Option<String>| text.as_ref().map_or(vec![0], |text| [&[1], text.as_bytes()].concat());
    let parts: [&[u8]; 12] = [
        row.tenant_id.as_bytes(),
        &row.seq.to_be_bytes(),
        &row.at.to_be_bytes(),
        row.actor.as_bytes(),
        row.action.as_bytes(),
        row.target.as_bytes(),
        row.outcome.as_bytes(),
        &optional(&row.request_id),
        &optional(&row.detail),
        &row.commitment,
        &row.mac_key.to_be_bytes(),
        before,
    ];
    key.digest("audit entry", &parts)
}

/// The row as it is inserted.
pub(super) fn inserted(row: audit_entry::Model) -> audit_entry::ActiveModel {
    audit_entry::ActiveModel {
        tenant_id: Set(row.tenant_id),
        seq: Set(row.seq),
        at: Set(row.at),
        actor: Set(row.actor),
        action: Set(row.action),
        target: Set(row.target),
        outcome: Set(row.outcome),
        request_id: Set(row.request_id),
        detail: Set(row.detail),
        personal: Set(row.personal),
        salt: Set(row.salt),
        commitment: Set(row.commitment),
        mac_key: Set(row.mac_key),
        mac: Set(row.mac),
    }
}

/// As it is told.
pub(super) fn of_row(row: audit_entry::Model) -> Result<AuditEntry, StorageError> {
    Ok(AuditEntry {
        seq: u64::try_from(row.seq).map_err(|_| StorageError::inconsistent("audit_entry", "seq"))?,
        at: Timestamp::from_millis(row.at),
        actor: row.actor,
        action: row.action,
        target: row.target,
        outcome: row.outcome,
        request_id: row.request_id,
        detail: row.detail,
        personal: row.personal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_and_steers_nothing() {
        assert_eq!(plain("a\r\nb\u{1b}[31mc\u{202e}d\0", 200), "a\u{fffd}\u{fffd}b\u{fffd}[31mc\u{fffd}d\u{fffd}");
        assert_eq!(plain(&"é".repeat(300), 200).chars().count(), 200);
    }
}
