//! Downstream services follow what ended before its tokens did.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;
use wxgate_domain::{Clock, RevocationEffect, RevokedSubject, ServiceClientId};
use wxgate_token::{RevocationPage, VerifiedPage, security_event};

use crate::harness::cli::wxgate;
use crate::harness::{APP, Gateway, PATIENCE, Reply, jwt, within};

/// A service client of tenant `demo` that follows.
struct Follower {
    id: ServiceClientId,
    secret: String,
    cursor: Option<String>,
}

impl Follower {
    async fn of(gateway: &Gateway, tenant: &str, grants: &[&str]) -> Self {
        let add = ["service-client", "add", "--tenant", tenant, "follower", "--json"];
        let added = wxgate(add.iter().chain(grants).copied()).config(&gateway.config()).run().await.json();
        let text = |name: &str| added[name].as_str().unwrap_or_else(|| panic!("{added}")).to_owned();
        let follower = Self { id: text("id").parse().unwrap(), secret: text("secret"), cursor: None };
        // The gateway hears of it within a moment.
        within(PATIENCE, "the client is known", async || {
            (gateway.client().send(follower.question(gateway, tenant, "")).await.status != 401).then_some(())
        })
        .await;
        follower
    }

    fn question(&self, gateway: &Gateway, tenant: &str, query: &str) -> RequestBuilder {
        let request = gateway.client().request(Method::GET, &format!("/t/{tenant}/revocations?{query}"));
        request.basic_auth(self.id.as_str(), Some(&self.secret))
    }

    async fn ask(&self, gateway: &Gateway, query: &str) -> Reply {
        gateway.client().send(self.question(gateway, "demo", query)).await
    }

    async fn read(&self, gateway: &Gateway, reply: &Reply) -> VerifiedPage {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.header("content-type"), "application/secevent+jwt");
        assert_eq!(reply.header("cache-control"), "no-store");
        let keys = jwt::keys(gateway, "demo").await;
        let issuer = jwt::issuer(gateway, "demo");
        security_event::verify_page(&reply.text, &keys, &issuer, &self.id, &Clock::System).unwrap()
    }

    /// The next page, and moves on.
    async fn next(&mut self, gateway: &Gateway, query: &str) -> RevocationPage {
        let after = self.cursor.as_ref().map(|cursor| format!("after={cursor}&")).unwrap_or_default();
        let reply = self.ask(gateway, &format!("{after}{query}")).await;
        let page = self.read(gateway, &reply).await.page;
        self.cursor = Some(page.cursor.clone());
        page
    }

    /// Pages until there is no more.
    async fn all(&mut self, gateway: &Gateway, query: &str) -> Vec<RevocationPage> {
        let mut pages = vec![self.next(gateway, query).await];
        while pages.last().unwrap().more {
            pages.push(self.next(gateway, query).await);
        }
        pages
    }
}

async fn log_in(gateway: &Gateway) -> Value {
    let issued = gateway.simulator().code(APP).await;
    gateway.client().login_with(APP, &issued.code).await.ok()
}

async fn log_out(gateway: &Gateway, login: &Value) {
    let request = gateway.client().request(Method::POST, "/v1/logout").json(&json!({ "scope": "this" }));
    let reply = gateway.client().send(request.bearer_auth(login["access_token"].as_str().unwrap())).await;
    assert!(matches!(reply.status, 200 | 204), "{}", reply.text);
}

fn session(login: &Value) -> RevokedSubject {
    RevokedSubject::Session(login["session_id"].as_str().unwrap().parse().unwrap())
}

/// Many people from one address.
async fn crowded() -> Gateway {
    let many = "100000";
    Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", many).env("WXGATE__LIMITS__ADDRESS_BURST", many).await
}

#[tokio::test]
async fn a_follower_hears_of_a_logout_within_a_second() {
    let gateway = Gateway::dev().await;
    let mut follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    let login = log_in(&gateway).await;
    let begin = follower.next(&gateway, "").await;
    assert!(begin.snapshot && begin.entries.is_empty(), "{begin:?}");

    let query = format!("after={}&wait=30", begin.cursor);
    let waits = async {
        let reply = follower.ask(&gateway, &query).await;
        (reply, Instant::now())
    };
    let ends = async {
        // It waits when this is sent; and if not yet, it is told all the same.
        tokio::task::yield_now().await;
        log_out(&gateway, &login).await;
        Instant::now()
    };
    let ((reply, heard_at), ended_at) = tokio::join!(waits, ends);
    let late = heard_at.saturating_duration_since(ended_at);
    assert!(late < Duration::from_secs(1), "{late:?}");
    let page = follower.read(&gateway, &reply).await.page;
    let [entry] = &page.entries[..] else { panic!("{page:?}") };
    assert_eq!((&entry.subject, entry.effect), (&session(&login), RevocationEffect::Ended));
    assert!(!page.snapshot && entry.expires.is_some_and(|expires| expires > entry.at));
}

#[tokio::test]
async fn blocks_and_their_end_and_retired_keys_are_told() {
    let gateway = Gateway::dev().await;
    let mut follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    let login = log_in(&gateway).await;
    follower.all(&gateway, "").await;
    let kid = jwt::parts(&login["access_token"]).0["kid"].as_str().unwrap().to_owned();
    for command in [
        &["app", "disable", APP][..],
        &["app", "enable", APP],
        &["tenant", "suspend", "demo"],
        &["tenant", "resume", "demo"],
        &["signing-key", "retire", "--tenant", "demo", &kid],
    ] {
        wxgate(command.iter().copied()).config(&gateway.config()).run().await.ok();
    }
    let reply = follower.ask(&gateway, &format!("after={}", follower.cursor.as_ref().unwrap())).await;
    let page = follower.read(&gateway, &reply).await;
    assert_ne!(page.kid.as_str(), kid, "not signed by the key that it retires");
    let told: Vec<_> = page.page.entries.iter().map(|entry| (entry.subject.clone(), entry.effect)).collect();
    let (app, tenant) = (RevokedSubject::App(APP.parse().unwrap()), RevokedSubject::Tenant("demo".parse().unwrap()));
    let expected = [
        (app.clone(), RevocationEffect::Blocked),
        (app, RevocationEffect::Lifted),
        (tenant.clone(), RevocationEffect::Blocked),
        (tenant, RevocationEffect::Lifted),
        (RevokedSubject::Key(kid.parse().unwrap()), RevocationEffect::Ended),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn no_entry_is_missed_while_many_log_out_at_once() {
    let gateway = crowded().await;
    let mut follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    let logins = join_all((0..60).map(|_| log_in(&gateway))).await;
    let mut seen = follower.all(&gateway, "").await;
    let follows = async {
        let mut entries = 0;
        while entries < logins.len() {
            let page = follower.next(&gateway, "wait=30&limit=7").await;
            entries += page.entries.len();
            seen.push(page);
        }
    };
    tokio::join!(follows, join_all(logins.iter().map(|login| log_out(&gateway, login))));
    let numbers: Vec<_> = seen.iter().flat_map(|page| page.entries.iter().map(|entry| entry.seq)).collect();
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>(), "each once, in order, without a gap");
    let subjects: Vec<_> = seen.iter().flat_map(|page| page.entries.iter().map(|entry| &entry.subject)).collect();
    assert!(logins.iter().all(|login| subjects.contains(&&session(login))));

    // A newcomer gets the same as a snapshot, in pieces.
    let newcomer = Follower { cursor: None, ..follower };
    let mut newcomer = newcomer;
    let pieces = newcomer.all(&gateway, "limit=25").await;
    assert_eq!(pieces.iter().map(|page| page.entries.len()).collect::<Vec<_>>(), [25, 25, 10]);
    assert!(pieces.iter().all(|page| page.snapshot));
    let after = newcomer.next(&gateway, "").await;
    assert!(!after.snapshot && after.entries.is_empty());
}

#[tokio::test]
async fn refuses_whoever_is_no_follower_of_this_tenant() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "umbrella"]).run().await.ok();
    let follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    let stranger = Follower::of(&gateway, "umbrella", &["--feed"]).await;
    let login = log_in(&gateway).await;
    log_out(&gateway, &login).await;

    let foreign = gateway.client().send(stranger.question(&gateway, "demo", "")).await;
    foreign.refused(401, "CLIENT_INVALID");
    assert_eq!(foreign.header("www-authenticate"), "Basic realm=\"wxgate\", charset=\"UTF-8\"");
    let wrong = Follower { secret: format!("{}x", follower.secret), id: follower.id.clone(), cursor: None };
    wrong.ask(&gateway, "").await.refused(401, "CLIENT_INVALID");
    let path = "/t/demo/revocations";
    gateway.client().get(path).await.refused(401, "CLIENT_INVALID");
    let user = gateway
        .client()
        .request(Method::GET, path)
        .bearer_auth(log_in(&gateway).await["access_token"].as_str().unwrap());
    gateway.client().send(user).await.refused(401, "CLIENT_INVALID");
    let twice = follower.question(&gateway, "demo", "").header("Authorization", "Basic eDp5");
    gateway.client().send(twice).await.refused(401, "CLIENT_INVALID");
    gateway.client().send(follower.question(&gateway, "nobody", "")).await.refused(404, "NOT_FOUND");
    gateway.client().post(path, &json!({})).await.refused(405, "METHOD_NOT_ALLOWED");
    for query in ["wait=31", "limit=0", "limit=501", "after=a&after=b", "wait=soon"] {
        follower.ask(&gateway, query).await.refused(400, "REQUEST_INVALID");
    }
    let blind = gateway.command(["service-client", "add", "--tenant", "demo", "blind", "--json"]).run().await.json();
    let id = blind["id"].as_str().unwrap().parse().unwrap();
    let blind = Follower { id, secret: blind["secret"].as_str().unwrap().to_owned(), cursor: None };
    within(PATIENCE, "the client is known and has no grant", async || {
        (blind.ask(&gateway, "").await.status == 403).then_some(())
    })
    .await;
    blind.ask(&gateway, "").await.refused(403, "NOT_GRANTED");
}

#[tokio::test]
async fn refuses_cursors_of_another_tenant_and_of_before_a_restore() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "umbrella"]).run().await.ok();
    let mut follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    let stranger = Follower::of(&gateway, "umbrella", &["--feed"]).await;
    let foreign = gateway.client().send(stranger.question(&gateway, "umbrella", "")).await;
    let (_, claims) = jwt::parts(&json!(foreign.text));
    let foreign = claims["events"]["urn:wxgate:event:revocations"]["cursor"].as_str().unwrap();
    follower.ask(&gateway, &format!("after={foreign}")).await.refused(410, "CURSOR_GONE");
    follower.ask(&gateway, "after=nonsense").await.refused(410, "CURSOR_GONE");

    follower.next(&gateway, "").await;
    let cursor = follower.cursor.clone().unwrap();
    assert_eq!(follower.ask(&gateway, &format!("after={cursor}")).await.status, 200);
    gateway.command(["db", "restored"]).run().await.ok();
    within(PATIENCE, "the cursor is gone", async || {
        (follower.ask(&gateway, &format!("after={cursor}")).await.status == 410).then_some(())
    })
    .await;
    follower.ask(&gateway, &format!("after={cursor}&wait=30")).await.refused(410, "CURSOR_GONE");
    follower.cursor = None;
    assert!(follower.next(&gateway, "").await.snapshot);
    follower.next(&gateway, "").await;
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_gateway_stops() {
    let mut gateway = Gateway::dev().await;
    let mut follower = Follower::of(&gateway, "demo", &["--feed"]).await;
    follower.next(&gateway, "").await;
    let query = format!("after={}&wait=30", follower.cursor.as_ref().unwrap());
    let question = follower.question(&gateway, "demo", &query);
    let client = gateway.client().clone();
    let waits = tokio::spawn(async move { client.send(question).await });
    // Another question is answered after the first has arrived, or the first is answered at once: both are right.
    follower.ask(&gateway, "").await;
    let began = Instant::now();
    assert!(gateway.terminate().await.success());
    assert_eq!(waits.await.unwrap().status, 200);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
