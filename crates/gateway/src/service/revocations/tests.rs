use wxgate_domain::{RevocationEffect, RevokedSubject, ServiceClientPolicy, SigningKeyState, Timestamp};
use wxgate_storage::NewRevocation;
use wxgate_token::VerifiedPage;

use super::*;
use crate::service::signing_keys::SigningKeys;
use crate::service::testing::{House, PUBLIC_URL};

/// A feed, a client that may follow it, and what the gateway knew of the tenant in the beginning.
struct Newsroom {
    house: House,
    feed: Revocations,
    client: ServiceClient,
    tenant: Arc<KnownTenant>,
}

const AT_ONCE: Ask<'static> = Ask { after: None, wait: Duration::ZERO, limit: 500 };

impl Newsroom {
    async fn new() -> Self {
        let house = House::new().await;
        let directory = Directory::new(house.storage.clone(), PUBLIC_URL, &[]);
        let (revoked, _) = Revoked::load(house.storage.clone(), house.clock.clone()).await.unwrap();
        let tx = house.storage.begin().await.unwrap();
        let policy = ServiceClientPolicy { feed: true, ..ServiceClientPolicy::default() };
        let (client, _) = tx.tenant(house.tenant.id).service_clients().add("Orders", policy).await.unwrap();
        tx.commit().await.unwrap();
        let tenant = directory.tenant(&house.tenant.slug).await.unwrap().unwrap();
        let feed = Revocations {
            clock: house.clock.clone(),
            random: house.random.clone(),
            storage: house.storage.clone(),
            directory,
            revoked,
            stopping: CancellationToken::new(),
            waiting: Waiting::default(),
        };
        Self { house, feed, client, tenant }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<String, RevocationsError> {
        self.feed.page(&self.tenant, &self.client, ask).await
    }

    /// A page as the client reads it, which has read the keys just now.
    async fn read(&self, ask: Ask<'_>) -> VerifiedPage {
        let page = self.ask(ask).await.unwrap();
        let ring = self.house.ring().await;
        security_event::verify_page(&page, &ring, &self.house.issuer, &self.client.id, &self.house.clock).unwrap()
    }

    async fn end_a_session(&self) -> RevokedSubject {
        let subject = RevokedSubject::Session(self.house.session().id);
        let expires = Some(self.house.clock.now().plus(Duration::from_mins(15)));
        let news = [NewRevocation { subject: subject.clone(), effect: RevocationEffect::Ended, expires }];
        let tx = self.house.storage.begin().await.unwrap();
        tx.tenant(self.house.tenant.id).revocations().record(&news).await.unwrap();
        tx.commit().await.unwrap();
        subject
    }
}

#[tokio::test]
async fn a_snapshot_and_what_follows_are_read_in_order() {
    let room = Newsroom::new().await;
    let empty = room.read(AT_ONCE).await.page;
    assert_eq!((empty.first, empty.last, empty.snapshot, empty.more), (0, 0, true, false));
    let mut ended = Vec::new();
    for _ in 0..3 {
        ended.push(room.end_a_session().await);
    }
    let first = room.read(Ask { after: Some(&empty.cursor), limit: 2, ..AT_ONCE }).await.page;
    assert_eq!((first.first, first.last, first.snapshot, first.more), (1, 2, false, true));
    let second = room.read(Ask { after: Some(&first.cursor), limit: 2, ..AT_ONCE }).await.page;
    assert_eq!((second.first, second.last, second.more), (3, 3, false));
    let told: Vec<_> = first.entries.into_iter().chain(second.entries).map(|entry| entry.subject).collect();
    assert_eq!(told, ended);
    let nothing = room.read(Ask { after: Some(&second.cursor), ..AT_ONCE }).await.page;
    assert!(nothing.entries.is_empty() && !nothing.snapshot);
    let whole = room.read(AT_ONCE).await.page;
    assert_eq!((whole.snapshot, whole.entries.len()), (true, 3));
}

/// Rule 27: the thief of a key could announce its retirement too, so another key does.
#[tokio::test]
async fn a_page_that_retires_a_key_is_signed_by_its_successor() {
    let room = Newsroom::new().await;
    let cursor = room.read(AT_ONCE).await.page.cursor;
    let stolen = room.tenant.ring.active().kid().clone();
    let keys = SigningKeys {
        storage: room.house.storage.clone(),
        clock: room.house.clock.clone(),
        caller: crate::service::admin::Caller::system(),
    };
    let stored = room.house.stored().await;
    let next = &stored.iter().find(|key| key.state == SigningKeyState::Next).unwrap().kid;
    keys.retire(room.house.tenant.id, &stolen).await.unwrap();
    // The gateway has not heard of it: it would sign with the stolen key.
    let page = room.read(Ask { after: Some(&cursor), ..AT_ONCE }).await;
    assert_eq!(page.kid, *next);
    assert_eq!(page.page.entries[0].subject, RevokedSubject::Key(stolen));
    assert_eq!(page.page.entries[0].effect, RevocationEffect::Ended);
    // So is a snapshot, which holds it too.
    assert_eq!(room.read(AT_ONCE).await.kid, *next);
}

#[tokio::test]
async fn refuses_clients_without_the_grant() {
    let mut room = Newsroom::new().await;
    room.client.policy.feed = false;
    assert!(matches!(room.ask(AT_ONCE).await, Err(RevocationsError::NotGranted)));
}

#[tokio::test]
async fn refuses_cursors_of_others_and_of_before_a_restore() {
    let room = Newsroom::new().await;
    let cursor = room.read(AT_ONCE).await.page.cursor;
    let umbrella = room.house.another_tenant("umbrella").await;
    let foreign = room.house.storage.tenant(umbrella.id).revocations().page(None, 1).await.unwrap().cursor;
    for wrong in ["", "nonsense", &foreign, &format!("{cursor}A"), &cursor[1..]] {
        let refused = room.ask(Ask { after: Some(wrong), ..AT_ONCE }).await;
        assert!(matches!(refused, Err(RevocationsError::Feed(FeedError::Gone))), "{wrong}");
    }
}

#[tokio::test]
async fn whoever_waits_is_told_as_soon_as_there_is_news() {
    let room = Newsroom::new().await;
    let cursor = room.read(AT_ONCE).await.page.cursor;
    let patient = Ask { after: Some(&cursor), wait: Duration::from_mins(1), ..AT_ONCE };
    let happens = async {
        tokio::task::yield_now().await;
        let subject = room.end_a_session().await;
        room.feed.waiting.ring(room.house.tenant.id);
        subject
    };
    let (page, subject) = tokio::join!(room.read(patient), happens);
    assert_eq!(page.page.entries[0].subject, subject);
}

#[tokio::test]
async fn whoever_waits_is_answered_when_the_process_stops_or_the_time_is_over() {
    let room = Newsroom::new().await;
    let cursor = room.read(AT_ONCE).await.page.cursor;
    let brief = Ask { after: Some(&cursor), wait: Duration::from_millis(20), ..AT_ONCE };
    assert!(room.read(brief).await.page.entries.is_empty());
    let patient = Ask { after: Some(&cursor), wait: Duration::from_mins(1), ..AT_ONCE };
    let stop = async {
        tokio::task::yield_now().await;
        room.feed.stopping.cancel();
    };
    let (page, ()) = tokio::join!(room.read(patient), stop);
    assert!(page.page.entries.is_empty());
    assert!(room.read(patient).await.page.entries.is_empty(), "nor does a later one wait");
    assert!(room.feed.waiting.turns.lock().unwrap().of.is_empty());
}

#[tokio::test]
async fn refuses_to_let_one_client_wait_without_end() {
    let waiting = Waiting::default();
    let random = Random::system().unwrap();
    let tenant = || TenantId::new(Timestamp::from_millis(0), &random);
    let (acme, greedy, modest) = (tenant(), ServiceClientId::new(&random), ServiceClientId::new(&random));
    let mut turns: Vec<_> = (0..WAITING_OF_CLIENT).map(|_| waiting.enter(acme, &greedy).unwrap()).collect();
    assert!(waiting.enter(acme, &greedy).is_none());
    assert!(waiting.enter(acme, &modest).is_some());
    turns.pop();
    assert!(waiting.enter(acme, &greedy).is_some());
    drop(turns);
    assert_eq!(waiting.turns.lock().unwrap().all, 0);
    let of_tenant = |tenant: TenantId| -> Vec<_> {
        (0..WAITING_OF_TENANT).map(|_| waiting.enter(tenant, &ServiceClientId::new(&random)).unwrap()).collect()
    };
    let mut many = of_tenant(acme);
    assert!(waiting.enter(acme, &modest).is_none(), "nor one tenant's clients");
    let umbrella = tenant();
    assert!(waiting.enter(umbrella, &modest).is_some());
    many.extend((1..4).flat_map(|_| of_tenant(tenant())));
    assert!(waiting.enter(umbrella, &modest).is_none(), "nor all of them together");
    drop(many);
}

#[tokio::test]
async fn a_client_that_was_removed_while_it_waited_hears_nothing() {
    let newsroom = Newsroom::new().await;
    newsroom.end_a_session().await;
    let tx = newsroom.house.storage.begin().await.unwrap();
    tx.tenant(newsroom.house.tenant.id).service_clients().remove(&newsroom.client.id).await.unwrap();
    tx.commit().await.unwrap();
    // It proved who it is before; what it asked for then is answered now.
    assert!(matches!(newsroom.ask(AT_ONCE).await, Err(RevocationsError::Removed)));
}
