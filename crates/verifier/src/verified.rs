//! The verified token of a request, as handlers take it.

use std::ops::Deref;
use std::sync::Arc;

use wxgate_token::Claims;

use crate::error::Error;

/// Proof that the request carries a valid token, and what it says. Handlers of actix-web and axum take it as an argument.
#[derive(Clone, Debug)]
pub struct Verified(Arc<Claims>);

impl Verified {
    #[cfg(any(feature = "actix", feature = "axum"))]
    pub(crate) fn new(claims: Arc<Claims>) -> Self {
        Self(claims)
    }

    /// Asks for a scope that this one handler needs, beside what the verifier asks of every token.
    ///
    /// # Errors
    /// [`Error::Scope`].
    pub fn require(&self, scope: &str) -> Result<(), Error> {
        self.0.allows(scope).then_some(()).ok_or_else(|| Error::Scope(scope.to_owned()))
    }

    /// The claims, to keep.
    pub fn into_claims(self) -> Arc<Claims> {
        self.0
    }
}

impl Deref for Verified {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.0
    }
}
