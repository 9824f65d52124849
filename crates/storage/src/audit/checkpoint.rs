//! Where a chain stood at a moment, to be kept elsewhere.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;
use wxgate_crypto::{Digest, MacKey, encoding};
use wxgate_domain::{TenantId, Timestamp};

use super::{id_of, whose};

/// Names the format, before everything else.
const MARK: &str = "wxgate-audit-1";

/// Where a chain stood at a moment, under a MAC: whoever keeps it can prove later what stood there then.
///
/// Its text is one word: `wxgate-audit-1`, the tenant (the nil id is the installation), the number of the last entry, the
/// moment in milliseconds, the key's number, the last entry's MAC and the checkpoint's own, with dots between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose chain; `None` is the installation's.
    pub tenant: Option<TenantId>,
    /// The number of its last entry.
    pub count: u64,
    /// When.
    pub at: Timestamp,
    /// The MAC of its last entry.
    pub head: Digest,
    pub(super) mac_key: u32,
    pub(super) mac: Digest,
}

impl Checkpoint {
    /// Made now.
    pub(super) fn sign(
        (tenant, count, head): (Option<TenantId>, u64, Digest),
        at: Timestamp,
        (mac_key, key): &(u32, MacKey),
    ) -> Self {
        let unsigned = Self { tenant, count, at, head, mac_key: *mac_key, mac: head };
        Self { mac: unsigned.mac(key), ..unsigned }
    }

    /// The MAC that this key makes of it.
    pub(super) fn mac(&self, key: &MacKey) -> Digest {
        let chain = id_of(self.tenant).uuid();
        let parts: [&[u8]; 5] = [
            chain.as_bytes(),
            &self.count.to_be_bytes(),
            &self.at.millis().to_be_bytes(),
            &self.mac_key.to_be_bytes(),
            self.head.as_bytes(),
        ];
        key.digest("audit checkpoint", &parts)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tenant, at) = (id_of(self.tenant).uuid(), self.at.millis());
        let [head, mac] = [self.head, self.mac].map(|digest| encoding::to_base64url(digest.as_bytes()));
        write!(f, "{MARK}.{tenant}.{}.{at}.{}.{head}.{mac}", self.count, self.mac_key)
    }
}

/// A text that is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a checkpoint of an audit log")]
pub struct MalformedCheckpoint;

impl FromStr for Checkpoint {
    type Err = MalformedCheckpoint;

    fn from_str(text: &str) -> Result<Self, MalformedCheckpoint> {
        let parts: Vec<&str> = text.split('.').collect();
        let [MARK, tenant, count, at, mac_key, head, mac] = parts[..] else { return Err(MalformedCheckpoint) };
        let digest = |text: &str| encoding::base64url(text).and_then(|bytes| Digest::from_slice(&bytes));
        Ok(Self {
            tenant: whose(tenant.parse::<Uuid>().map_err(|_| MalformedCheckpoint)?.into()),
            count: count.parse().map_err(|_| MalformedCheckpoint)?,
            at: Timestamp::from_millis(at.parse().map_err(|_| MalformedCheckpoint)?),
            head: digest(head).ok_or(MalformedCheckpoint)?,
            mac_key: mac_key.parse().map_err(|_| MalformedCheckpoint)?,
            mac: digest(mac).ok_or(MalformedCheckpoint)?,
        })
    }
}
