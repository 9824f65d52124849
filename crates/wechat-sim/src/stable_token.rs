//! `POST /cgi-bin/stable_token`: one access_token of an app, given to whoever asks until it is about to expire.

use actix_web::http::Method;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use crate::answer;
use crate::chance::Chance;
use crate::faults::{FaultKind, STABLE_TOKEN, Stage};
use crate::journal::Call;
use crate::routes::{Shared, lost_in_transit, respond, wait};

/// How long a token lives, how long before its end another one is given, and how close two forced ones may be.
const LIFE_MS: u64 = 7_200_000;
const OVERLAP_MS: u64 = 300_000;
const FORCED_EVERY_MS: u64 = 30_000;

/// What is asked with; what is empty is missing.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenCall {
    pub(crate) grant_type: Option<String>,
    pub(crate) appid: Option<String>,
    pub(crate) secret: Option<String>,
    pub(crate) force_refresh: bool,
}

/// The token that an app has.
pub(crate) struct Token {
    text: String,
    made_ms: u64,
}

/// What is given for a call.
pub(crate) struct Given {
    pub(crate) token: String,
    pub(crate) expires_in: u64,
}

/// The present token with what is left of its life, or a new one.
pub(crate) fn give(slot: &mut Option<Token>, force: bool, now_ms: u64, chance: &mut Chance) -> Given {
    let age = |token: &Token| now_ms.saturating_sub(token.made_ms);
    let keeps = |token: &Token| age(token) < LIFE_MS - OVERLAP_MS && !(force && age(token) >= FORCED_EVERY_MS);
    let present = slot.take().filter(keeps);
    let token = slot.insert(present.unwrap_or_else(|| Token { text: chance.access_token(), made_ms: now_ms }));
    Given { token: token.text.clone(), expires_in: (LIFE_MS - now_ms.saturating_sub(token.made_ms)) / 1000 }
}

/// The route.
pub(crate) async fn stable_token(request: HttpRequest, shared: Data<Shared>, body: Bytes) -> HttpResponse {
    let now_ms = shared.clock.now_ms();
    let mut asked: TokenCall = serde_json::from_slice(&body).unwrap_or_default();
    for field in [&mut asked.grant_type, &mut asked.appid, &mut asked.secret] {
        *field = field.take().filter(|text| !text.is_empty());
    }
    let call = Call::arrived(now_ms, STABLE_TOKEN, asked.appid.as_deref(), None, asked.secret.as_deref());
    let in_transit = shared.world().faults.take(STABLE_TOKEN, asked.appid.as_deref(), Stage::Transport);
    let latency = in_transit.filter(|fault| fault.kind == FaultKind::Latency).map(|fault| fault.delay);
    if let Some(fault) = in_transit
        && latency.is_none()
    {
        shared.journal().record(call.ended(None, Some(fault.kind)));
        wait(fault.delay).await;
        return lost_in_transit(&request, fault.kind);
    }
    let outcome = if request.method() == Method::POST {
        shared.world().token(&asked, now_ms)
    } else {
        shared.world().refuse(43002, now_ms)
    };
    let errcode = outcome.result.as_ref().map_or_else(|refusal| refusal.errcode, |_| 0);
    let fault = outcome.fault.or(in_transit.map(|fault| fault.kind));
    shared.journal().record(call.ended(Some(errcode), fault));
    wait(latency.unwrap_or_default() + outcome.delay).await;
    respond(&request, outcome.fault, answer::token(&outcome, outcome.fault == Some(FaultKind::Huge)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_same_token_until_it_is_about_to_expire() {
        let (mut slot, mut chance) = (None, Chance::from_system().unwrap());
        let mut at = |force, seconds: u64| give(&mut slot, force, seconds * 1000, &mut chance);
        let first = at(false, 0);
        assert_eq!(first.expires_in, 7_200);
        let later = at(false, 6_000);
        assert_eq!((later.token == first.token, later.expires_in), (true, 1_200));
        let renewed = at(false, 6_900);
        assert_eq!((renewed.token == first.token, renewed.expires_in), (false, 7_200));
        assert!(at(true, 6_910).token == renewed.token, "thirty seconds apart");
        assert!(at(true, 6_931).token != renewed.token);
    }
}
