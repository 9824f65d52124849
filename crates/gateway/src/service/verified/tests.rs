use wxgate_domain::{
    Revocation, RevocationEffect, RevokedSubject, ServiceClientId, ServiceClientPolicy, SigningKeyState,
};
use wxgate_storage::NewRevocation;
use wxgate_token::{KeyRing, RevocationPage, security_event};

use super::*;
use crate::service::revoked::Follower;
use crate::service::testing::{House, PUBLIC_URL};

const ORDERS: &str = "orders";

/// A house, and a gateway that verifies there. The follower is held, so that nothing happens by itself.
struct Door {
    house: House,
    ring: KeyRing,
    verified: Verified,
    directory: Directory,
    follower: Follower,
    client: ServiceClientId,
}

impl Door {
    async fn new() -> Self {
        let house = House::new().await;
        let ring = house.ring().await;
        let directory = Directory::new(house.storage.clone(), PUBLIC_URL, &[]);
        let (revoked, follower) = Revoked::load(house.storage.clone(), house.clock.clone()).await.unwrap();
        let verified = Verified::new(directory.clone(), house.clock.clone(), revoked);
        let tx = house.storage.begin().await.unwrap();
        let clients = tx.tenant(house.tenant.id).service_clients();
        let client = clients.add("orders", ServiceClientPolicy::default()).await.unwrap().0.id;
        tx.commit().await.unwrap();
        Self { house, ring, verified, directory, follower, client }
    }

    async fn app(&self, token: &str) -> Result<(), Refused> {
        self.service(token, self.house.app.as_str(), &[]).await
    }

    async fn service(&self, token: &str, audience: &str, scopes: &[&str]) -> Result<(), Refused> {
        let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let purpose = Purpose::Service { tenant: &self.house.tenant.slug, audience, scopes: &scopes };
        self.verified.verify(token, purpose).await.map(drop)
    }

    async fn own(&self, token: &str) -> Result<(), Refused> {
        self.verified.user(token).await.map(drop)
    }

    /// Says so in the feed, as a gateway would that ends or blocks.
    async fn record(&self, subject: RevokedSubject, effect: RevocationEffect) {
        let expires =
            (effect == RevocationEffect::Ended).then(|| self.house.clock.now().plus(Duration::from_hours(25)));
        let tx = self.house.storage.begin().await.unwrap();
        let news = [NewRevocation { subject, effect, expires }];
        tx.tenant(self.house.tenant.id).revocations().record(&news).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn user(&self) -> String {
        self.house.issue(&self.ring, self.house.user(&self.house.session())).token.expose().clone()
    }
}

fn token_error(error: VerifyError) -> Refused {
    Refused::Token(error)
}

#[tokio::test]
async fn each_kind_of_token_opens_what_it_is_for_and_nothing_else() {
    let door = Door::new().await;
    let (house, audiences) = (&door.house, [ORDERS.to_owned()]);
    let session = house.session();
    let user = house.issue(&door.ring, house.user(&session)).token;
    let exchanged = house.issue(&door.ring, house.exchanged(&session, &door.client, ORDERS)).token;
    let client = house.issue(&door.ring, House::client(&door.client, &audiences)).token;
    // Twice each: the second time it is known.
    for _ in 0..2 {
        assert_eq!(door.app(user.expose()).await, Ok(()));
        assert_eq!(door.own(user.expose()).await, Ok(()));
        assert_eq!(door.service(user.expose(), ORDERS, &[]).await, Err(token_error(VerifyError::Audience)));
        for of_service in [&exchanged, &client] {
            assert_eq!(door.service(of_service.expose(), ORDERS, &["user", "orders:read"]).await, Ok(()));
            assert_eq!(door.app(of_service.expose()).await, Err(token_error(VerifyError::Audience)));
            assert_eq!(door.own(of_service.expose()).await, Err(token_error(VerifyError::Audience)));
        }
    }
}

#[tokio::test]
async fn refuses_the_tokens_of_a_client_that_is_not_there() {
    let door = Door::new().await;
    let (house, audiences) = (&door.house, [ORDERS.to_owned()]);
    let removed = ServiceClientId::new(&house.random);
    let exchanged = house.issue(&door.ring, house.exchanged(&house.session(), &removed, ORDERS)).token;
    let client = house.issue(&door.ring, House::client(&removed, &audiences)).token;
    for token in [&exchanged, &client] {
        assert_eq!(door.service(token.expose(), ORDERS, &[]).await, Err(Refused::Revoked));
    }
}

#[tokio::test]
async fn a_known_token_tells_whom_it_speaks_of() {
    let door = Door::new().await;
    let (house, audiences) = (&door.house, [ORDERS.to_owned()]);
    let session = house.session();
    let told = async |subject, audience: &str| {
        let token = house.issue(&door.ring, subject).token;
        let purpose = Purpose::Service { tenant: &house.tenant.slug, audience, scopes: &[] };
        let token = door.verified.verify(token.expose(), purpose).await.unwrap();
        let Told { sub, tenant, app, sid, scope } = &token.told;
        [sub, tenant, app, sid, scope].map(|text| String::from_utf8(text.to_vec()).unwrap())
    };
    let (user, sid) = (session.user.to_string(), session.id.to_string());
    let scope = "user orders:read";
    let expected = [user.as_str(), "acme", "wx1", &sid, scope];
    assert_eq!(told(house.user(&session), "wx1").await, expected);
    assert_eq!(told(house.exchanged(&session, &door.client, ORDERS), ORDERS).await, expected);
    let client = told(House::client(&door.client, &audiences), ORDERS).await;
    assert_eq!(client, [door.client.as_str(), "acme", "", "", scope]);
}

#[tokio::test]
async fn what_is_no_access_token_is_refused_on_every_bearer_route() {
    let door = Door::new().await;
    let house = &door.house;
    let page = RevocationPage {
        as_of: house.clock.now(),
        first: 0,
        last: 0,
        cursor: "c".to_owned(),
        snapshot: true,
        more: false,
        entries: Vec::<Revocation>::new(),
    };
    let event =
        security_event::sign_page(&door.ring, &house.issuer, &door.client, &page, house.clock.now(), &house.random);
    let event = event.unwrap();
    let user = door.user();
    let (message, signature) = user.rsplit_once('.').unwrap();
    let wrong = [
        event.as_str(),
        "",
        "..",
        "wxr_AAAA",
        message,
        &format!("{message}."),
        &format!("{message}.{}", "A".repeat(signature.len())),
        &format!("{user}.{user}"),
        &"a".repeat(20_000),
        &format!("{user} {user}"),
        &format!("{user},{user}"),
        &format!("{user} "),
        &format!("{user}="),
        &format!("\"{user}\""),
    ];
    for token in wrong {
        assert!(matches!(door.app(token).await, Err(Refused::Token(_))), "{token}");
        assert!(matches!(door.own(token).await, Err(Refused::Token(_))), "{token}");
    }
}

#[tokio::test]
async fn a_known_token_is_refused_when_it_is_over() {
    let door = Door::new().await;
    let token = door.user();
    assert_eq!(door.app(&token).await, Ok(()));
    door.house.clock.advance(Duration::from_hours(24) + Duration::from_secs(31));
    assert_eq!(door.app(&token).await, Err(token_error(VerifyError::Expired)));
    assert_eq!(door.own(&token).await, Err(token_error(VerifyError::Expired)));
}

#[tokio::test]
async fn a_known_token_is_refused_for_another_audience_scope_or_tenant() {
    let door = Door::new().await;
    let umbrella = door.house.another_tenant("umbrella").await;
    let token = door.user();
    let foreign = async || {
        let purpose = Purpose::Service { tenant: &umbrella.slug, audience: "wx1", scopes: &[] };
        door.verified.verify(&token, purpose).await.map(drop)
    };
    assert_eq!(foreign().await, Err(token_error(VerifyError::Issuer)));
    assert_eq!(door.service(&token, "wx1", &["user", "orders:read"]).await, Ok(()));
    assert_eq!(door.service(&token, "wx1", &["user", "orders:write"]).await, Err(Refused::Scope));
    assert_eq!(door.service(&token, "wx1", &["orders"]).await, Err(Refused::Scope), "a part of a word is none");
    assert_eq!(door.service(&token, "wx2", &[]).await, Err(token_error(VerifyError::Audience)));
    assert_eq!(foreign().await, Err(token_error(VerifyError::Issuer)), "also when the token is known");
}

#[tokio::test]
async fn nobody_elses_issuer_is_asked_for_its_keys() {
    let door = Door::new().await;
    let abroad = wxgate_token::Issuer::new("https://evil.example", &door.house.tenant.slug);
    assert!(door.directory.tenant_by_issuer(&abroad).await.unwrap().is_none());
    assert!(door.directory.tenant_by_issuer(&door.house.issuer).await.unwrap().is_some());
}

/// Security test 8: what was revoked is refused at every level, and what was lifted is not.
#[tokio::test]
async fn refuses_revoked_sessions_users_apps_tenants_and_keys() {
    let mut door = Door::new().await;
    let session = door.house.session();
    let token = door.house.issue(&door.ring, door.house.user(&session)).token;
    let exchanged = door.house.issue(&door.ring, door.house.exchanged(&session, &door.client, ORDERS)).token;
    let blocks = [
        RevokedSubject::User(session.user),
        RevokedSubject::App(door.house.app.clone()),
        RevokedSubject::Tenant(door.house.tenant.slug.clone()),
    ];
    for subject in blocks {
        for (effect, expected) in
            [(RevocationEffect::Blocked, Err(Refused::Revoked)), (RevocationEffect::Lifted, Ok(()))]
        {
            door.record(subject.clone(), effect).await;
            door.follower.read_all().await.unwrap();
            assert_eq!(door.app(token.expose()).await, expected, "{subject:?} {effect:?}");
            assert_eq!(door.service(exchanged.expose(), ORDERS, &[]).await, expected, "{subject:?} {effect:?}");
        }
    }
    door.record(RevokedSubject::Session(session.id), RevocationEffect::Ended).await;
    door.follower.read_all().await.unwrap();
    assert_eq!(door.app(token.expose()).await, Err(Refused::Revoked));
    assert_eq!(door.own(token.expose()).await, Ok(()), "there the session's row says so, in other words");
    assert_eq!(door.service(exchanged.expose(), ORDERS, &[]).await, Err(Refused::Revoked));

    let other = door.user();
    assert_eq!(door.app(&other).await, Ok(()));
    door.record(RevokedSubject::Key(door.ring.active().kid().clone()), RevocationEffect::Ended).await;
    door.follower.read_all().await.unwrap();
    assert_eq!(door.app(&other).await, Err(Refused::Revoked));
}

#[tokio::test]
async fn what_a_new_process_did_not_see_happen_is_refused_too() {
    let door = Door::new().await;
    let session = door.house.session();
    let token = door.house.issue(&door.ring, door.house.user(&session)).token;
    door.record(RevokedSubject::Session(session.id), RevocationEffect::Ended).await;
    let storage = door.house.another_process().await;
    let (revoked, _follower) = Revoked::load(storage.clone(), door.house.clock.clone()).await.unwrap();
    let directory = Directory::new(storage, PUBLIC_URL, &[]);
    let verified = Verified::new(directory, door.house.clock.clone(), revoked);
    let purpose = Purpose::Service { tenant: &door.house.tenant.slug, audience: "wx1", scopes: &[] };
    assert_eq!(verified.verify(token.expose(), purpose).await.map(drop), Err(Refused::Revoked));
    let audience = door.house.app.as_str();
    let purpose = Purpose::Service { tenant: &door.house.tenant.slug, audience, scopes: &[] };
    assert!(matches!(verified.verify(token.expose(), purpose).await, Err(Refused::Revoked)));
}

#[tokio::test]
async fn keys_that_move_are_asked_again() {
    let door = Door::new().await;
    let token = door.user();
    assert_eq!(door.app(&token).await, Ok(()));
    // The key is gone, and no feed says so.
    let active = door.ring.active().kid().clone();
    let next = door.house.stored().await.into_iter().find(|key| key.state == SigningKeyState::Next).unwrap().kid;
    let tx = door.house.storage.begin().await.unwrap();
    let keys = tx.tenant(door.house.tenant.id).signing_keys();
    keys.promote(&next).await.unwrap();
    keys.forget(&active).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(door.app(&token).await, Ok(()), "nobody has said so yet");
    door.directory.miss_changes();
    assert_eq!(door.app(&token).await, Err(token_error(VerifyError::UnknownKey)));
}

#[tokio::test]
async fn nothing_is_accepted_when_revocations_cannot_be_followed() {
    let door = Door::new().await;
    let token = door.user();
    door.house.clock.advance(Duration::from_secs(30));
    assert_eq!(door.app(&token).await, Ok(()));
    door.house.clock.advance(Duration::from_secs(1));
    assert_eq!(door.app(&token).await, Err(Refused::NotKnown(NotKnown)));
    assert_eq!(door.own(&token).await, Err(Refused::NotKnown(NotKnown)));
}
