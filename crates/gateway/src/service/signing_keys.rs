//! Keeps every tenant's signing keys turning, and does what an operator asks of them.

use wxgate_domain::{
    Clock, KeyMoveError, KeyStep, Kid, RevocationEffect, RevokedSubject, SigningAlgorithm, SigningKeyState,
    StoredSigningKey, TenantId, Timestamp, key_rotation,
};
use wxgate_storage::{NewRevocation, Storage, StorageError, TenantRing, Tx};
use wxgate_token::{KeyError, SigningKey};

use super::admin::{Caller, Event};

/// Keys that are made for one decision at most: a policy that changes its algorithm again and again is not waited for.
const ATTEMPTS: usize = 3;

/// Turns signing keys.
#[derive(Clone)]
pub(crate) struct SigningKeys {
    pub(crate) storage: Storage,
    pub(crate) clock: Clock,
    /// Whoever asks, for the audit log; wxgate itself for what is due.
    pub(crate) caller: Caller,
}

/// Why a tenant's signing keys are as they were.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningKeyError {
    #[error(transparent)]
    Move(#[from] KeyMoveError),
    #[error("no signing key could be made")]
    Make(#[from] KeyError),
    #[error("the policy or the keys of the tenant {0} make no sense to this version")]
    Unreadable(TenantId),
    #[error("the database refused")]
    Storage(#[from] StorageError),
}

impl SigningKeys {
    /// Looks at the rings of all tenants, and does what is due. Tenants with nothing due, which are nearly all, cost a
    /// row of a page. What fails for one tenant is logged and keeps nobody else waiting.
    ///
    /// # Errors
    /// The rings cannot be read, or some tenant's could not be kept: worth another look soon.
    pub(crate) async fn keep_all(&self) -> Result<(), SigningKeyError> {
        let mut failed = None;
        let mut after = None;
        loop {
            let page = self.storage.signing_keys().rings(after).await?;
            if page.last.is_none() {
                break;
            }
            after = page.last;
            failed = unreadable(&page.unreadable).or(failed);
            for ring in page.rings.iter().filter(|ring| !self.due(ring).is_empty()) {
                if let Err(error) = self.keep(ring.tenant).await {
                    tracing::error!(tenant.id = %ring.tenant, error.source = %error, "a tenant's signing keys were not kept");
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Does what is due for one tenant; returns what that was.
    ///
    /// # Errors
    /// The database fails, or no key can be made.
    pub(crate) async fn keep(&self, tenant: TenantId) -> Result<Vec<KeyStep>, SigningKeyError> {
        self.change(tenant, None, |ring| Ok(self.due(ring))).await
    }

    /// Lets the next key sign before its time.
    ///
    /// # Errors
    /// [`KeyMoveError::NotYet`] while verifiers may not know the next key. One that was missing, or had another algorithm
    /// than the policy's, is published first, and then that is said of it.
    pub(crate) async fn rotate(&self, tenant: TenantId) -> Result<Vec<KeyStep>, SigningKeyError> {
        self.keep(tenant).await?;
        let early = |ring: &TenantRing| key_rotation::rotate(&ring.keys, &ring.policy, self.clock.now());
        self.change(tenant, None, early).await
    }

    /// An emergency: the key signs and verifies nothing from now on. In the place of the active one the next signs.
    ///
    /// # Errors
    /// [`KeyMoveError::Unknown`] if the tenant has no such key.
    pub(crate) async fn retire(&self, tenant: TenantId, kid: &Kid) -> Result<Vec<KeyStep>, SigningKeyError> {
        let retire = |ring: &TenantRing| key_rotation::retire(&ring.keys, kid, &ring.policy);
        match self.change(tenant, Some(kid), retire).await {
            // A ring from before there were next keys, which nobody has kept yet.
            Err(SigningKeyError::Move(KeyMoveError::NoNext)) => {
                self.keep(tenant).await?;
                self.change(tenant, Some(kid), retire).await
            }
            result => result,
        }
    }

    /// After a restore: every key of every tenant goes, and with it all access tokens of before; keys that nobody has held
    /// yet take over. A `next` of the backup may have signed since, or have been retired as stolen.
    ///
    /// # Errors
    /// The database fails; what was done stays, and the same again does the rest.
    pub(crate) async fn replace_all(&self) -> Result<(), SigningKeyError> {
        let (mut after, mut failed) = (None, None);
        loop {
            let page = self.storage.signing_keys().rings(after).await?;
            if page.last.is_none() {
                return failed.map_or(Ok(()), Err);
            }
            after = page.last;
            failed = unreadable(&page.unreadable).or(failed);
            for ring in &page.rings {
                // What stands by goes first, so that its fresh successor stands by when the active one goes.
                let (next, others): (Vec<_>, Vec<_>) =
                    ring.keys.iter().partition(|key| key.state == SigningKeyState::Next);
                for key in next.into_iter().chain(others) {
                    self.retire(ring.tenant, &key.kid).await?;
                }
            }
        }
    }

    fn due(&self, ring: &TenantRing) -> Vec<KeyStep> {
        key_rotation::due(&ring.keys, &ring.policy, self.clock.now())
    }

    /// Decides with the ring locked, and carries the steps out, so that several nodes do once what all of them see.
    ///
    /// A key is made before the transaction and never in it: an RSA key takes its time, and SQLite has one writer.
    async fn change(
        &self,
        tenant: TenantId,
        stolen: Option<&Kid>,
        decide: impl Fn(&TenantRing) -> Result<Vec<KeyStep>, KeyMoveError>,
    ) -> Result<Vec<KeyStep>, SigningKeyError> {
        let mut made: Option<StoredSigningKey> = None;
        for _ in 0..ATTEMPTS {
            let tx = self.storage.begin().await?;
            let keys = tx.tenant(tenant).signing_keys();
            let steps = decide(&keys.ring().await?)?;
            let wanted = steps.iter().find_map(|step| match step {
                KeyStep::Publish(algorithm) => Some(*algorithm),
                _ => None,
            });
            if let Some(algorithm) = wanted.filter(|wanted| made.as_ref().is_none_or(|made| made.algorithm != *wanted))
            {
                drop(tx);
                made = Some(self.make(algorithm).await?);
                continue;
            }
            if let Some(kid) = stolen {
                // Counters are locked in one order by everybody: the feed's before that of changes.
                tx.tenant(tenant).revocations().record(&[ended(kid, self.clock.now())]).await?;
            }
            for step in &steps {
                match step {
                    KeyStep::Publish(_) => {
                        if let Some(key) = made.take() {
                            keys.publish(key).await?;
                        }
                    }
                    KeyStep::Promote(kid) => keys.promote(kid).await?,
                    KeyStep::Forget(kid) => keys.forget(kid).await?,
                }
            }
            self.write_down(&tx, tenant, stolen, &steps).await?;
            tx.commit().await?;
            if let Some(kid) = stolen {
                tracing::warn!(tenant.id = %tenant, key.id = %kid, "a signing key was retired: all that it signed is refused");
            }
            tell(tenant, &steps);
            return Ok(steps);
        }
        Err(StorageError::Busy.into())
    }

    /// What was done, in the transaction that does it.
    async fn write_down(
        &self,
        tx: &Tx,
        tenant: TenantId,
        stolen: Option<&Kid>,
        steps: &[KeyStep],
    ) -> Result<(), StorageError> {
        let retired = stolen.map(|kid| Event::of(tenant, "signing-key.retire", kid));
        let turned = steps.iter().map(|step| match step {
            KeyStep::Publish(algorithm) => Event::of(tenant, "signing-key.publish", algorithm),
            KeyStep::Promote(kid) => Event::of(tenant, "signing-key.promote", kid),
            KeyStep::Forget(kid) => Event::of(tenant, "signing-key.forget", kid),
        });
        for event in retired.into_iter().chain(turned) {
            tx.audit(event.tenant).record(&event.entry(&self.caller)).await?;
        }
        Ok(())
    }

    async fn make(&self, algorithm: SigningAlgorithm) -> Result<StoredSigningKey, KeyError> {
        let now = self.clock.now();
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, now)).await;
        made.unwrap_or(Err(KeyError::Generate))
    }
}

/// Says which tenants' keys nobody turns, and that this is worth another look.
fn unreadable(tenants: &[TenantId]) -> Option<SigningKeyError> {
    for tenant in tenants {
        tracing::error!(tenant.id = %tenant, "a tenant's signing keys are not kept: its policy or keys make no sense to this version");
    }
    tenants.first().copied().map(SigningKeyError::Unreadable)
}

/// The entry by which verifiers that cache the key set hear of it at once.
fn ended(kid: &Kid, now: Timestamp) -> NewRevocation {
    NewRevocation {
        subject: RevokedSubject::Key(kid.clone()),
        effect: RevocationEffect::Ended,
        expires: Some(now.plus(key_rotation::VERIFIES_ON)),
    }
}

fn tell(tenant: TenantId, steps: &[KeyStep]) {
    for step in steps {
        match step {
            KeyStep::Publish(algorithm) => {
                tracing::info!(tenant.id = %tenant, key.algorithm = %algorithm, "a signing key was published");
            }
            KeyStep::Promote(kid) => tracing::info!(tenant.id = %tenant, key.id = %kid, "a signing key signs now"),
            KeyStep::Forget(kid) => tracing::info!(tenant.id = %tenant, key.id = %kid, "a signing key is gone"),
        }
    }
}

#[cfg(test)]
mod tests;
