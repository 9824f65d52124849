//! nginx and Caddy for real, with the files of `deploy/forward-auth`: a service behind them hears whose request it is from
//! the gateway alone, and hears nothing of a request that the gateway refused.

mod around;
mod forged;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::proxy::{HOST, Kind, POLICY, Proxy};
use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, jwt, within};

/// Each story as a test of each proxy.
macro_rules! on_each_proxy {
    ($($story:ident)*) => {
        on_each_proxy! { @ nginx crate::harness::proxy::Kind::Nginx; $($story)* }
        on_each_proxy! { @ caddy crate::harness::proxy::Kind::Caddy; $($story)* }
    };
    (@ $proxy:ident $kind:expr; $($story:ident)*) => {
        mod $proxy {
            $(#[tokio::test]
            async fn $story() {
                super::$story($kind).await;
            })*
        }
    };
}
use on_each_proxy;

on_each_proxy! {
    a_request_with_a_token_arrives_as_it_was_sent
    who_has_no_good_token_never_reaches_the_service
    without_a_gateway_nobody_gets_in
    the_gateway_hears_of_the_token_and_of_nothing_else
}

/// Another policy of the same gateway, which wants a token of the other app.
const OTHER_POLICY: &str = "returns";

/// A gateway with two policies, a proxy that asks it about one of them, and a service that writes down what it hears.
struct House {
    gateway: Gateway,
    service: Wechat,
    proxy: Proxy,
    /// Satisfies the policy of the proxy.
    token: String,
    /// Satisfies the other policy alone.
    other_token: String,
    refresh_token: String,
    /// What the service is to hear, by lower-case name.
    expected: BTreeMap<String, String>,
}

impl House {
    /// `None` where the proxy is not installed.
    async fn start(kind: Kind) -> Option<Self> {
        let gateway = Gateway::dev().env("WXGATE__HTTP__TRUSTED_PROXIES", "127.0.0.0/8").await;
        let service = service().await;
        let proxy = Proxy::start(kind, gateway.client().authority(), authority(&service)).await?;
        for (policy, audience) in [(POLICY, APP), (OTHER_POLICY, OTHER_APP)] {
            gateway.command(["policy", "add", "--tenant", "demo", policy, "--audience", audience]).run().await.ok();
        }
        let (login, other) = (login(&gateway, APP).await, login(&gateway, OTHER_APP).await);
        let (_, claims) = jwt::parts(&login["access_token"]);
        let claim = |name: &str| text(&claims[name]);
        let expected = ["sub", "tenant", "sid", "scope"].map(|name| (format!("x-auth-{name}"), claim(name)));
        let expected = expected.into_iter().chain([("x-auth-app".to_owned(), APP.to_owned())]);
        let house = Self {
            gateway,
            service,
            proxy,
            token: text(&login["access_token"]),
            other_token: text(&other["access_token"]),
            refresh_token: text(&login["refresh_token"]),
            // nginx sends no empty header, Caddy does: to a service they are the same.
            expected: expected.filter(|(_, value)| !value.is_empty()).collect(),
        };
        within(PATIENCE, "the gateway knows both policies", async || {
            let mut known = true;
            for (policy, token) in [(POLICY, &house.token), (OTHER_POLICY, &house.other_token)] {
                let client = house.gateway.client();
                let ask = client.request(reqwest::Method::GET, &format!("/forward-auth/{policy}")).bearer_auth(token);
                known &= client.send(ask).await.status == 200;
            }
            known.then_some(())
        })
        .await;
        Some(house)
    }

    /// Sends a request with a token to the name that the proxy serves.
    async fn send(&self, line: &str, token: Option<&str>, headers: &str) -> String {
        self.proxy.send(&request(line, HOST, token, headers)).await
    }

    /// Fails unless the request was refused and the service never heard of it.
    #[track_caller]
    fn refused(&self, what: &str, before: usize, reply: &str) {
        assert_eq!(self.service.calls(), before, "{what}: the service heard {:?}", self.service.requests().last());
        assert!(matches!(status(reply), 400..=599), "{what}: {reply}");
    }

    /// Fails unless the service heard of the request and of its user exactly what the gateway said.
    #[track_caller]
    fn faithful(&self, what: &str, before: usize, reply: &str) {
        assert_eq!(self.service.calls(), before + 1, "{what}: {reply}");
        assert_eq!(status(reply), 200, "{what}: {reply}");
        let heard = self.service.requests().pop().unwrap();
        let mut found = BTreeMap::new();
        let lines = heard.lines().skip(1).take_while(|line| !line.is_empty());
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            // As CGI, WSGI and PHP see it.
            let seen = name.to_ascii_lowercase().replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
            assert_ne!(seen, "authorization", "{what}: the service has the token:\n{heard}");
            if seen.starts_with("x-auth") && !value.trim().is_empty() {
                assert!(name.eq_ignore_ascii_case(&seen), "{what}: {name}\n{heard}");
                assert!(found.insert(seen, value.trim().to_owned()).is_none(), "{what}: {name} twice\n{heard}");
            }
        }
        assert_eq!(found, self.expected, "{what}:\n{heard}");
    }

    /// Fails unless the service heard what the gateway said, or nothing at all.
    #[track_caller]
    fn faithful_or_refused(&self, what: &str, before: usize, reply: &str) {
        if self.service.calls() == before {
            // Caddy answers an empty 200 to a name that it does not serve.
            assert!(!reply.ends_with(SERVED), "{what}: {reply}");
        } else {
            self.faithful(what, before, reply);
        }
    }
}

/// What the service answers.
const SERVED: &str = "the service was here";

async fn service() -> Wechat {
    Wechat::start(|_| Answer::body(SERVED)).await
}

fn authority(server: &Wechat) -> &str {
    server.url().strip_prefix("http://").unwrap()
}

async fn login(gateway: &Gateway, appid: &str) -> Value {
    let issued = gateway.simulator().code(appid).await;
    gateway.client().login_with(appid, &issued.code).await.ok()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The bytes of a request: method and target, then the headers, which end with a line end each.
fn request(line: &str, host: &str, token: Option<&str>, headers: &str) -> Vec<u8> {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{token}{headers}\r\n").into_bytes()
}

fn status(reply: &str) -> u16 {
    reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {reply:?}"))
}

async fn a_request_with_a_token_arrives_as_it_was_sent(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let line = format!("{method} /orders/7?from=x&to=y");
        let mut bytes = request(&line, HOST, Some(&house.token), "Content-Length: 9\r\nCookie: theirs=1\r\n");
        bytes.extend(b"the order");
        let before = house.service.calls();
        let reply = house.proxy.send(&bytes).await;
        house.faithful(method, before, &reply);
        assert!(reply.ends_with(SERVED), "{reply}");
        let heard = house.service.requests().pop().unwrap();
        assert!(heard.starts_with(&line) && heard.ends_with("\r\n\r\nthe order"), "{heard}");
        assert!(heard.to_ascii_lowercase().contains("cookie: theirs=1"), "{heard}");

        let before = house.service.calls();
        let mut bytes = request(&line, HOST, None, "Content-Length: 9\r\n");
        bytes.extend(b"the order");
        house.refused(method, before, &house.proxy.send(&bytes).await);
    }
}

async fn who_has_no_good_token_never_reaches_the_service(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    let token = &house.token;
    let (rest, last) = token.split_at(token.len() - 10);
    let flipped = format!("{rest}{}", last.chars().rev().collect::<String>());
    let (_, second) = token.split_once('.').unwrap();
    for (what, authorization) in [
        ("nothing", String::new()),
        ("no token", "Authorization: Bearer\r\n".to_owned()),
        ("an empty token", "Authorization: Bearer \r\n".to_owned()),
        ("another scheme", format!("Authorization: Basic {token}\r\n")),
        ("no scheme", format!("Authorization: {token}\r\n")),
        ("nonsense", "Authorization: Bearer nonsense\r\n".to_owned()),
        ("three parts of nothing", "Authorization: Bearer a.b.c\r\n".to_owned()),
        ("another signature", format!("Authorization: Bearer {flipped}\r\n")),
        ("no signature", format!("Authorization: Bearer {rest}\r\n")),
        ("no algorithm", format!("Authorization: Bearer eyJhbGciOiJub25lIn0.{second}\r\n")),
        ("a refresh token", format!("Authorization: Bearer {}\r\n", house.refresh_token)),
        ("two tokens in one", format!("Authorization: Bearer {token}, Bearer {token}\r\n")),
        ("a long one", format!("Authorization: Bearer {}\r\n", "a".repeat(6_000))),
        ("a cookie", format!("Cookie: Authorization=Bearer%20{token}; access_token={token}\r\n")),
        ("another header", format!("X-Authorization: Bearer {token}\r\nProxy-Authorization: Bearer {token}\r\n")),
    ] {
        let reply = house.send("GET /", None, &authorization).await;
        house.refused(what, 0, &reply);
        assert_eq!(status(&reply), 401, "{what}: {reply}");
        let head = reply.to_ascii_lowercase();
        assert!(head.contains("\r\nwww-authenticate: bearer"), "{what}: {reply}");
    }
    house.refused("a token in the query", 0, &house.send(&format!("GET /?access_token={token}"), None, "").await);
    // Good, and not what this policy wants.
    let reply = house.send("GET /", Some(&house.other_token), "").await;
    house.refused("a token for the other policy", 0, &reply);
    assert!(matches!(status(&reply), 401 | 403), "{reply}");

    let doubled = format!("Authorization: Bearer {}\r\n", house.other_token);
    let reply = house.send("GET /", Some(token), &doubled).await;
    house.faithful_or_refused("a good token, then another", 0, &reply);
    let before = house.service.calls();
    let doubled = format!("Authorization: Bearer {token}\r\n");
    let reply = house.send("GET /", Some(&house.other_token), &doubled).await;
    house.faithful_or_refused("another token, then a good one", before, &reply);
}

async fn without_a_gateway_nobody_gets_in(kind: Kind) {
    let Some(mut house) = House::start(kind).await else { return };
    let reply = house.send("GET /", Some(&house.token), "").await;
    house.faithful("while it is there", 0, &reply);
    house.gateway.kill9();
    for token in [Some(house.token.as_str()), None] {
        let reply = house.send("GET /", token, "").await;
        house.refused("once it is gone", 1, &reply);
        assert!(status(&reply) >= 500, "{reply}");
    }
}

async fn the_gateway_hears_of_the_token_and_of_nothing_else(kind: Kind) {
    let service = service().await;
    // Only what it is asked matters, so anything may stand in for it.
    let asked = Wechat::start(|_| Answer::with("401 Unauthorized", "text/plain", "")).await;
    let Some(proxy) = Proxy::start(kind, authority(&asked), authority(&service)).await else { return };
    let headers = "Content-Length: 6\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Uri: /secret\r\n";
    let mut bytes = request("POST /secret?aud=secret&policy=secret", HOST, Some("the-token"), headers);
    bytes.extend(b"secret");
    assert_eq!(status(&proxy.send(&bytes).await), 401);
    let heard = asked.requests().pop().unwrap();
    assert!(heard.starts_with(&format!("GET /forward-auth/{POLICY} HTTP/1.1\r\n")), "{heard}");
    assert!(heard.contains("Authorization: Bearer the-token\r\n"), "{heard}");
    assert!(!heard.contains("secret") && !heard.contains("192.0.2.1"), "{heard}");
    assert!(heard.contains("X-Forwarded-For: 127."), "limits count the client, not the proxy:\n{heard}");
    assert_eq!(service.calls(), 0);
}
