//! An issuer on this machine that can be told what to answer: keys, tokens and a revocation feed that are really signed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use wxgate_token::crypto::{Random, encoding};
use wxgate_token::domain::{
    Clock, Revocation, RevocationEffect, RevokedSubject, ServiceClientId, SessionId, SigningAlgorithm, SigningKeyState,
    Slug, StoredSigningKey, Timestamp, UserId, WechatAppid,
};
use wxgate_token::security_event::sign_page_with;
use wxgate_token::{Grant, Issuer, KeyRing, RevocationPage, SigningKey, Subject, issue};

/// The audience of the tokens that it issues.
pub(crate) const APPID: &str = "wx4f4bc4dec97d474b";

/// The secret of its one service client.
pub(crate) const SECRET: &str = "wxs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// An answer in its own words, instead of the right one: status, further header lines, body.
#[derive(Clone, Debug)]
pub(crate) struct Answer(pub(crate) u16, pub(crate) &'static str, pub(crate) Vec<u8>);

/// A tenant `acme` on a port of its own, with a clock that it shares with its verifiers.
#[derive(Clone)]
pub(crate) struct FakeIssuer {
    pub(crate) clock: Clock,
    pub(crate) client: ServiceClientId,
    pub(crate) session: SessionId,
    pub(crate) user: UserId,
    issuer: Issuer,
    random: Random,
    state: Arc<Mutex<State>>,
    /// Grows with each entry of the feed, so that long polls wake.
    news: watch::Sender<u64>,
    /// Grows with each request, so that tests wake.
    asked: watch::Sender<u64>,
}

struct State {
    keys: Vec<StoredSigningKey>,
    /// The Cache-Control of the keys.
    cache_control: &'static str,
    /// What is answered next to those who ask for keys or for the feed, before the right answers go on.
    keys_answers: VecDeque<Answer>,
    feed_answers: VecDeque<Answer>,
    keys_asked: usize,
    keys_tags: Vec<Option<String>>,
    feed_asked: Vec<String>,
    feed: Vec<Revocation>,
    /// Entries in one page.
    page: usize,
    /// Grows with each restore: cursors of before are gone.
    epoch: u32,
    /// How old the news are that it tells.
    lag: Duration,
}

impl FakeIssuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_700_000_000_000));
        let (random, now) = (Random::seeded(1), clock.now());
        let issuer = Issuer::new(&format!("http://{}", listener.local_addr().unwrap()), &"acme".parse().unwrap());
        let state = State {
            keys: vec![key(SigningKeyState::Active, now), key(SigningKeyState::Next, now)],
            cache_control: "public, max-age=300",
            keys_answers: VecDeque::new(),
            feed_answers: VecDeque::new(),
            keys_asked: 0,
            keys_tags: Vec::new(),
            feed_asked: Vec::new(),
            feed: Vec::new(),
            page: 500,
            epoch: 1,
            lag: Duration::ZERO,
        };
        let fake = Self {
            client: ServiceClientId::new(&random),
            session: SessionId::new(now, &random),
            user: UserId::new(now, &random),
            issuer,
            state: Arc::new(Mutex::new(state)),
            news: watch::Sender::new(0),
            asked: watch::Sender::new(0),
            clock,
            random,
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> &str {
        self.issuer.as_str()
    }

    pub(crate) fn ring(&self) -> KeyRing {
        KeyRing::new(&self.state().keys).unwrap()
    }

    /// A user's token.
    pub(crate) fn token(&self) -> String {
        self.token_of(&self.ring(), &self.issuer, APPID, "user")
    }

    pub(crate) fn token_with_scope(&self, scope: &str) -> String {
        self.token_of(&self.ring(), &self.issuer, APPID, scope)
    }

    /// A token as any issuer would make it with any keys.
    pub(crate) fn token_of(&self, ring: &KeyRing, issuer: &Issuer, appid: &str, scope: &str) -> String {
        let (tenant, app): (&Slug, WechatAppid) = (issuer.tenant(), appid.parse().unwrap());
        let (user, session) = (self.user, self.session);
        let subject = Subject::User {
            user,
            session,
            app: &app,
            audiences: &[],
            openid: None,
            unionid: None,
            external_id: None,
            phone: None,
        };
        let grant = Grant { tenant, subject, scope, life: Duration::from_hours(2) };
        issue(ring, issuer, &grant, self.clock.now(), &self.random).unwrap().token.expose().clone()
    }

    /// The key that was next signs from now on; the old one is published still, or not any more.
    pub(crate) fn promote(&self, keep_old: bool) {
        let mut state = self.state();
        let moved = std::mem::take(&mut state.keys).into_iter().filter_map(|key| match key.state {
            SigningKeyState::Active if !keep_old => None,
            SigningKeyState::Next => Some(StoredSigningKey { state: SigningKeyState::Active, ..key }),
            _ => Some(StoredSigningKey { state: SigningKeyState::Retiring, ..key }),
        });
        state.keys = moved.collect();
    }

    /// A key that nobody has heard of signs from now on, and no other is published.
    pub(crate) fn surprise(&self) {
        self.set_keys(vec![key(SigningKeyState::Active, self.clock.now())]);
    }

    pub(crate) fn keys(&self) -> Vec<StoredSigningKey> {
        self.state().keys.clone()
    }

    pub(crate) fn set_keys(&self, keys: Vec<StoredSigningKey>) {
        self.state().keys = keys;
    }

    pub(crate) fn cache_control(&self, value: &'static str) {
        self.state().cache_control = value;
    }

    pub(crate) fn answer_keys(&self, answer: Answer, times: usize) {
        self.state().keys_answers.extend(std::iter::repeat_n(answer, times));
    }

    pub(crate) fn answer_feed(&self, answer: Answer, times: usize) {
        self.state().feed_answers.extend(std::iter::repeat_n(answer, times));
    }

    /// Back to the right answers.
    pub(crate) fn recover(&self) {
        let mut state = self.state();
        state.keys_answers.clear();
        state.feed_answers.clear();
        state.lag = Duration::ZERO;
    }

    pub(crate) fn keys_asked(&self) -> usize {
        self.state().keys_asked
    }

    /// The `If-None-Match` of each request for the keys.
    pub(crate) fn keys_tags(&self) -> Vec<Option<String>> {
        self.state().keys_tags.clone()
    }

    /// The query of each request for the feed.
    pub(crate) fn feed_asked(&self) -> Vec<String> {
        self.state().feed_asked.clone()
    }

    /// Waits until the keys were asked for so often.
    pub(crate) async fn keys_asked_for(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        asked.wait_for(|_| self.keys_asked() >= times).await.unwrap();
    }

    /// Waits until the feed is asked for once more than `times`.
    pub(crate) async fn asked_more_than(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        asked.wait_for(|_| self.feed_asked().len() > times).await.unwrap();
    }

    /// Waits until a follower asks for what comes after the last entry: by then it has taken in all of them.
    pub(crate) async fn followed(&self) {
        let end = {
            let state = self.state();
            format!("after={}-{}", state.epoch, state.feed.len())
        };
        let mut asked = self.asked.subscribe();
        asked.wait_for(|_| self.feed_asked().iter().any(|query| query.ends_with(&end))).await.unwrap();
    }

    pub(crate) fn page_size(&self, entries: usize) {
        self.state().page = entries;
    }

    pub(crate) fn lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// What a restored backup does: all cursors are gone, and so is what the feed said.
    pub(crate) fn restore(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.feed.clear();
        drop(state);
        self.news.send_modify(|news| *news += 1);
    }

    /// Adds an entry to the feed.
    pub(crate) fn revoke(&self, subject: RevokedSubject, effect: RevocationEffect) {
        let at = self.clock.now();
        let expires = (effect == RevocationEffect::Ended).then(|| at.plus(Duration::from_hours(2)));
        let mut state = self.state();
        let seq = u64::try_from(state.feed.len()).unwrap() + 1;
        state.feed.push(Revocation { seq, at, subject, effect, expires });
        drop(state);
        self.news.send_modify(|news| *news += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.split(' ').nth(1).unwrap();
        let answer = match target.split_once('?').unwrap_or((target, "")) {
            ("/t/acme/jwks.json", _) => self.answer_for_keys(header(&head, "if-none-match")),
            ("/t/acme/revocations", query) => self.feed(query, header(&head, "authorization")).await,
            _ => Answer(404, "", Vec::new()),
        };
        let Answer(status, lines, body) = answer;
        let head = format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(&body).await.ok()?;
        stream.shutdown().await.ok()
    }

    fn answer_for_keys(&self, known: Option<&str>) -> Answer {
        let answer = self.ask_keys(known);
        self.asked.send_modify(|asked| *asked += 1);
        if let Some(answer) = answer {
            return answer;
        }
        let (ring, cache_control) = (self.ring(), self.state().cache_control);
        let (tag, body) = (ring.jwks().etag(), ring.jwks().body());
        let lines = format!("Cache-Control: {cache_control}\r\nETag: {tag}\r\n").leak();
        if known == Some(tag) { Answer(304, lines, Vec::new()) } else { Answer(200, lines, body.into()) }
    }

    fn ask_keys(&self, known: Option<&str>) -> Option<Answer> {
        let mut state = self.state();
        state.keys_asked += 1;
        state.keys_tags.push(known.map(str::to_owned));
        state.keys_answers.pop_front()
    }

    async fn feed(&self, query: &str, authorization: Option<&str>) -> Answer {
        if let Some(answer) = self.ask_feed(query) {
            return answer;
        }
        let credential = format!("{}:{SECRET}", self.client);
        if authorization != Some(&format!("Basic {}", encoding::to_base64(credential))) {
            return Answer(401, "", Vec::new());
        }
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let wait = Duration::from_secs(value("wait").unwrap().parse().unwrap());
        let mut news = self.news.subscribe();
        news.borrow_and_update();
        let after = value("after").map(|cursor| cursor.split_once('-').unwrap());
        if self.is_gone(after) {
            return Answer(410, "", Vec::new());
        }
        let seen = after.map_or(0, |(_, seen)| seen.parse().unwrap());
        if self.state().feed.len() <= seen && after.is_some() {
            let _ = tokio::time::timeout(wait, news.changed()).await;
            if self.is_gone(after) {
                return Answer(410, "", Vec::new());
            }
        }
        self.page(seen, after.is_none())
    }

    fn ask_feed(&self, query: &str) -> Option<Answer> {
        let mut state = self.state();
        state.feed_asked.push(query.to_owned());
        let answer = state.feed_answers.pop_front();
        drop(state);
        self.asked.send_modify(|asked| *asked += 1);
        answer
    }

    fn is_gone(&self, cursor: Option<(&str, &str)>) -> bool {
        let epoch = self.state().epoch.to_string();
        cursor.is_some_and(|(of, _)| of != epoch)
    }

    fn page(&self, seen: usize, snapshot: bool) -> Answer {
        let (page, ring) = (self.page_after(seen, snapshot), self.ring());
        let (now, random) = (self.clock.now(), &self.random);
        match sign_page_with(ring.active(), &self.issuer, &self.client, &page, now, random) {
            Ok(token) => Answer(200, "Content-Type: application/secevent+jwt\r\n", token.into_bytes()),
            // It would retire the very key that signs it.
            Err(_) => Answer(500, "", Vec::new()),
        }
    }

    fn page_after(&self, seen: usize, snapshot: bool) -> RevocationPage {
        let state = self.state();
        let entries: Vec<_> = state.feed.iter().skip(seen).take(state.page).cloned().collect();
        let number = |entry: Option<&Revocation>| entry.map_or(0, |entry| entry.seq);
        RevocationPage {
            as_of: self.clock.now().minus(state.lag),
            first: number(entries.first()),
            last: number(entries.last()),
            cursor: format!("{}-{}", state.epoch, seen + entries.len()),
            snapshot,
            more: seen + entries.len() < state.feed.len(),
            entries,
        }
    }
}

fn key(state: SigningKeyState, now: Timestamp) -> StoredSigningKey {
    StoredSigningKey { state, ..SigningKey::generate(SigningAlgorithm::ES256, now).unwrap() }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
