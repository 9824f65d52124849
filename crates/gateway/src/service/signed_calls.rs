//! Calls that go out signed and encrypted, for apps whose operator gave the keys.

use std::sync::atomic::{AtomicBool, Ordering};

use wxgate_crypto::api_security::{ApiSecurity, ApiSecurityFailure};
use wxgate_domain::{ApiSecuritySet, Timestamp};
use wxgate_wechat_client::{Access, CallError, Security};

/// WeChat cannot check the signature, or cannot decrypt: it does not know the keys that were used.
const KEYS_UNKNOWN: [i64; 2] = [40_234, 40_235];

/// The keys of an app, ready to be used.
#[derive(Debug)]
pub(crate) struct SignedCalls {
    current: ApiSecurity,
    /// Those before: WeChat may not know the current ones yet.
    previous: Option<ApiSecurity>,
    /// Whether an answer said that WeChat is about to replace the certificate that we have.
    certificate_ends: AtomicBool,
    /// Whether the operator was told.
    told: AtomicBool,
}

impl SignedCalls {
    /// The keys of an app; `None` for one whose calls go out plain.
    ///
    /// # Errors
    /// A key does not read.
    pub(crate) fn of(sets: &[ApiSecuritySet]) -> Result<Option<Self>, ApiSecurityFailure> {
        let Some(current) = sets.first() else { return Ok(None) };
        let previous = sets.get(1);
        Ok(Some(Self {
            current: current.keys(previous)?,
            previous: previous.map(|previous| previous.keys(Some(current))).transpose()?,
            certificate_ends: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }))
    }

    /// Whether WeChat is about to replace the certificate that we have.
    pub(crate) fn certificate_ends(&self) -> bool {
        self.certificate_ends.load(Ordering::Relaxed)
    }

    /// Makes a call under the keys in use, and once more under those before if WeChat does not know them: then it was not
    /// carried out.
    pub(crate) async fn make<T>(
        &self,
        plain: Access<'_>,
        now: Timestamp,
        call: &impl AsyncFn(Access<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let under =
            |keys| Access { security: Some(Security { keys, now, certificate_ends: &self.certificate_ends }), ..plain };
        let mut result = call(under(&self.current)).await;
        if let (Err(CallError::Refused(refused)), Some(previous)) = (&result, &self.previous)
            && KEYS_UNKNOWN.contains(&refused.errcode)
        {
            tracing::warn!(wechat.appid = %plain.appid, wechat.errcode = refused.errcode, "WeChat does not know the app's new keys for signed calls; those before are used");
            result = call(under(previous)).await;
        }
        if self.certificate_ends() && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(wechat.appid = %plain.appid, "WeChat is about to replace the certificate that signs its answers to this app: give the new one with `wxgate app api-security set`");
        }
        result
    }
}

/// Makes a call as the app makes them: signed if there are keys, else plain.
pub(crate) async fn make<T>(
    signed: Option<&SignedCalls>,
    plain: Access<'_>,
    now: Timestamp,
    call: &impl AsyncFn(Access<'_>) -> Result<T, CallError>,
) -> Result<T, CallError> {
    match signed {
        Some(signed) => signed.make(plain, now, call).await,
        None => call(plain).await,
    }
}
