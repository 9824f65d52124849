//! One attempt to tell a receiver of an event: a signed request (Standard Webhooks), and no more of the answer than its status.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use wxgate_crypto::WebhookSecret;
use wxgate_domain::{Attempt, AttemptError, Clock, EventId, WebhookUrl};

use super::address::Reach;
use super::connections::{CannotCall, Connections, Forbidden};

/// What is read of an answer's body, in bytes, and thrown away: so that the connection can be used again.
const MAX_BODY: usize = 16 * 1024;

/// What a receiver is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) url: &'a WebhookUrl,
    /// One signature is made by each.
    pub(super) secrets: &'a [WebhookSecret],
    /// The same at every attempt, so that a receiver knows an event again.
    pub(super) event: EventId,
    pub(super) body: &'a [u8],
}

/// Tells receivers of events.
#[derive(Debug)]
pub(super) struct Sender {
    connections: Connections,
    clock: Clock,
}

impl Sender {
    /// With connections to what is in reach; `timeout` is for a whole attempt.
    pub(super) fn new(reach: Reach, timeout: Duration, clock: Clock) -> Self {
        Self { connections: Connections::new(reach, timeout), clock }
    }

    /// Tells of one event, once.
    pub(super) async fn send(&self, message: Message<'_>) -> Attempt {
        let Message { url, secrets, event, body } = message;
        let pool = match self.connections.to(url) {
            Ok(pool) => pool,
            Err(CannotCall::Forbidden(_)) => return Attempt::Unanswered(AttemptError::Forbidden),
            Err(CannotCall::Tls) => return Attempt::Unanswered(AttemptError::Unreachable),
        };
        let (id, timestamp) = (event.to_string(), self.clock.now().seconds());
        let signatures: Vec<_> = secrets.iter().map(|secret| secret.sign(&id, timestamp, body)).collect();
        let request = pool
            .post(url.as_url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body.to_vec());
        match request.send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                discard(response).await;
                Attempt::Answered(status)
            }
            Err(error) => Attempt::Unanswered(why(&error)),
        }
    }
}

/// Reads a short answer to its end; a longer one costs the connection.
async fn discard(mut response: Response) {
    let mut left = MAX_BODY;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn why(error: &reqwest::Error) -> AttemptError {
    if Forbidden::is_cause_of(error) {
        AttemptError::Forbidden
    } else if error.is_timeout() {
        AttemptError::Timeout
    } else if error.is_connect() {
        AttemptError::Unreachable
    } else {
        AttemptError::Broken
    }
}
