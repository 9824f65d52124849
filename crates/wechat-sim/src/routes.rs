//! WeChat's routes, and the table of all others.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{self, Bytes, Data, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use crate::answer;
use crate::api::{APIS, Api, Asked};
use crate::clock::Clock;
use crate::faults::{FaultKind, JSCODE2SESSION, Stage};
use crate::hang_up::hang_up;
use crate::journal::{Call, Journal};
use crate::state::{Exchange, Outcome, World};
use crate::steering::{self, platforms::push_ticket};

/// What all workers share. Locks are held for a few map look-ups, never while an answer waits.
pub(crate) struct Shared {
    world: Mutex<World>,
    journal: Mutex<Journal>,
    pub(crate) clock: Clock,
    /// Whether other machines may talk to the simulator.
    pub(crate) exposed: bool,
}

impl Shared {
    pub(crate) fn new(world: World, exposed: bool) -> Self {
        Self { world: Mutex::new(world), journal: Mutex::default(), clock: Clock::default(), exposed }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every route there is.
pub(crate) fn configure(config: &mut ServiceConfig) {
    for api in APIS {
        config.route(api.path, web::to(move |request, shared, body| interface(api, request, shared, body)));
    }
    config
        .route(JSCODE2SESSION, web::to(jscode2session))
        .service(web::scope("/sim").configure(steering::configure))
        .default_service(web::to(not_found));
}

async fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/html")
        .body("<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>")
}

async fn jscode2session(request: HttpRequest, shared: Data<Shared>) -> HttpResponse {
    let exchange = parameters(request.query_string());
    let (appid, code, secret) = (exchange.appid.as_deref(), exchange.js_code.as_deref(), exchange.secret.as_deref());
    let call = Call::arrived(shared.clock.now_ms(), JSCODE2SESSION, appid, code, secret);
    serve(&request, &shared, JSCODE2SESSION, appid, call, |world, now_ms| {
        if request.method() == Method::GET { world.exchange(&exchange, now_ms) } else { world.refuse(43001, now_ms) }
    })
    .await
}

async fn interface(
    api: &'static Api,
    request: HttpRequest,
    shared: Data<Shared>,
    body: Result<Bytes, actix_web::Error>,
) -> HttpResponse {
    // What is too long or broke off is no JSON either.
    let body = body.unwrap_or_else(|_| Bytes::from_static(b"{"));
    let asked = Asked::read(api, &request, &body);
    let caller = shared.world().caller(api, &asked);
    let secret = asked.text("secret").or(asked.anywhere("appsecret"));
    let call = Call::arrived(shared.clock.now_ms(), api.path, caller.as_deref(), asked.text("code"), secret)
        .with_token(asked.token());
    let response = serve(&request, &shared, api.path, caller.as_deref(), call, |world, now_ms| {
        world.answer(api, request.method(), &asked, now_ms)
    })
    .await;
    let asked_for = std::mem::take(&mut shared.world().tickets_asked_for);
    for appid in asked_for {
        let shared = shared.clone();
        // WeChat pushes soon, and tells nobody here how it went.
        actix_web::rt::spawn(async move { push_ticket(&shared, &appid).await.map(drop) });
    }
    response
}

/// Answers a call of WeChat's, or what stands between the caller and WeChat does, and writes the journal.
async fn serve(
    request: &HttpRequest,
    shared: &Shared,
    path: &'static str,
    appid: Option<&str>,
    call: Call,
    answer: impl FnOnce(&mut World, u64) -> Outcome,
) -> HttpResponse {
    let now_ms = shared.clock.now_ms();
    let in_transit = shared.world().faults.take(path, appid, Stage::Transport, now_ms);
    // Latency is between the call and its answer: what is asked for happens, even if nobody waits that long.
    let latency = in_transit.filter(|fault| fault.kind == FaultKind::Latency).map(|fault| fault.delay);
    if let Some(fault) = in_transit
        && latency.is_none()
    {
        shared.journal().record(call.ended(None, Some(fault.kind)));
        wait(fault.delay).await;
        return lost_in_transit(request, fault.kind);
    }

    let outcome = answer(&mut shared.world(), now_ms);
    let errcode = outcome.result.as_ref().map_or_else(|refusal| refusal.errcode, |_| 0);
    let fault = outcome.fault.or(in_transit.map(|fault| fault.kind));
    shared.journal().record(call.ended(Some(errcode), fault));
    wait(latency.unwrap_or_default() + outcome.delay).await;
    respond(request, path, &outcome)
}

/// The query's first value of each name, percent-decoded. What is empty is missing.
fn parameters(query: &str) -> Exchange {
    let mut exchange = Exchange::default();
    let pairs = Query::<Vec<(String, String)>>::from_query(query).map(Query::into_inner).unwrap_or_default();
    for (name, value) in pairs {
        let field = match name.as_str() {
            "appid" => &mut exchange.appid,
            "secret" => &mut exchange.secret,
            "js_code" => &mut exchange.js_code,
            "grant_type" => &mut exchange.grant_type,
            _ => continue,
        };
        if field.is_none() && !value.is_empty() {
            *field = Some(value);
        }
    }
    exchange
}

/// What the peer gets when its request never reaches WeChat's application.
fn lost_in_transit(request: &HttpRequest, kind: FaultKind) -> HttpResponse {
    match kind {
        FaultKind::ResetBefore => hang_up(request),
        FaultKind::Html => HttpResponse::BadGateway().content_type("text/html").body(
            "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
        ),
        _ => HttpResponse::InternalServerError().content_type("text/plain").body("Internal Server Error"),
    }
}

fn respond(request: &HttpRequest, path: &str, outcome: &Outcome) -> HttpResponse {
    let mut body = match &outcome.sealed {
        Some(sealed) => sealed.body.clone(),
        None => answer::body(outcome, outcome.fault == Some(FaultKind::Huge)),
    };
    match outcome.fault {
        Some(FaultKind::ResetAfter) => return hang_up(request),
        Some(FaultKind::Empty) => body.clear(),
        Some(FaultKind::Truncated) => body.truncate(body.len() / 2),
        Some(FaultKind::EscapedSlashes) => body = answer::with_escaped_slashes(&body),
        _ => {}
    }
    let mut response = HttpResponse::Ok();
    for header in outcome.sealed.iter().flat_map(|sealed| &sealed.headers) {
        response.insert_header((header.0, header.1.as_str()));
    }
    let mislabelled = outcome.fault == Some(FaultKind::ContentType);
    let content_type = if mislabelled { "text/html; charset=utf-8" } else { answer::content_type(path) };
    response.content_type(content_type).body(body)
}

async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
