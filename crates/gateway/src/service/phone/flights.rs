//! Phone codes whose exchange is under way in this process, each with everybody who waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio_util::task::TaskTracker;
use wxgate_crypto::Digest;
use wxgate_domain::PhoneNumber;

use super::CodeError;

/// What an exchange brought.
pub(super) type Exchanged = Result<PhoneNumber, CodeError>;

type Flight = Shared<BoxFuture<'static, Exchanged>>;

/// The exchanges under way, by digest. Each ends by itself in some seconds, so there are no more than requests.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Digest, Flight>>>);

impl Flights {
    /// Joins the exchange of this code, or begins it as a task that nobody's leaving ends.
    pub(super) async fn join(
        &self,
        code: Digest,
        tasks: &TaskTracker,
        exchange: impl Future<Output = Exchanged> + 'static,
    ) -> Exchanged {
        let flight = {
            let mut flights = self.lock();
            let begin = || {
                let landing = Landing { flights: self.clone(), code };
                // On the server's own thread, which goes on when the connection is gone.
                let task = tasks.spawn_local(async move {
                    let _landing = landing;
                    exchange.await
                });
                task.map(|done| done.unwrap_or(Err(CodeError::Lost))).boxed().shared()
            };
            flights.entry(code).or_insert_with(begin).clone()
        };
        flight.await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Flight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a flight when it is over, however it ended.
struct Landing {
    flights: Flights,
    code: Digest,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.code);
    }
}
