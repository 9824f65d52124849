use wxgate_domain::{OpenId, User, UserId, UserStatus};

use super::*;

const START: Timestamp = Timestamp::from_millis(1_000_000);

struct Desk {
    codes: Arc<Codes>,
    tenant: TenantId,
    app: AppId,
}

fn desk(capacity: usize) -> Desk {
    let random = Random::seeded(1);
    let (tenant, app) = (TenantId::new(START, &random), AppId::new(START, &random));
    Desk { codes: Codes::new(capacity, &random), tenant, app }
}

fn attempt(code: &str) -> Attempt {
    Attempt {
        code: code.parse().unwrap(),
        request: Digest::sha256(code.as_bytes()),
        client: Digest::sha256(b"phone"),
        address: [127, 0, 0, 1].into(),
        idempotency_key: None,
        purpose: Purpose::Login,
    }
}

fn opened(seed: u64) -> Arc<OpenedSession> {
    let random = Random::seeded(seed);
    let user = User {
        id: UserId::new(START, &random),
        status: UserStatus::Active,
        profile: wxgate_domain::Profile::default(),
        external_id: None,
        sessions_epoch: 0,
        created_at: START,
    };
    Arc::new(OpenedSession {
        id: SessionId::new(START, &random),
        app: AppId::new(START, &random),
        user,
        openid: "oA".parse::<OpenId>().unwrap(),
        unionid: None,
        phone: None,
        is_new: true,
        candidate: None,
        mac_key: 1,
        session_key: None,
        opened_at: START,
    })
}

impl Desk {
    fn admit(&self, attempt: &Attempt, seconds: u64) -> Admission {
        self.codes.admit(self.tenant, self.app, attempt, START.plus(Duration::from_secs(seconds)))
    }

    fn lead(&self, attempt: &Attempt) -> Lead {
        match self.admit(attempt, 0) {
            Admission::Lead(lead) => lead,
            other => panic!("expected to lead, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn duplicates_in_flight_share_one_outcome_and_strangers_do_not() {
    let desk = desk(10);
    let lead = desk.lead(&attempt("a"));
    let Admission::Follow(follower) = desk.admit(&attempt("a"), 0) else { panic!("an identical request follows") };
    let other = Attempt { request: Digest::sha256(b"other"), ..attempt("a") };
    assert!(matches!(desk.admit(&other, 0), Admission::Used));
    let elsewhere = Attempt { client: Digest::sha256(b"laptop"), ..attempt("a") };
    assert!(matches!(desk.admit(&elsewhere, 0), Admission::Used));
    let keyed = Attempt { idempotency_key: Some(Digest::sha256(b"key")), ..attempt("a") };
    assert!(matches!(desk.admit(&keyed, 0), Admission::Used));
    lead.settle(Ok(opened(1)), START);
    assert_eq!(follower.outcome().await.unwrap().id, opened(1).id);
}

#[test]
fn the_same_client_is_answered_again_for_ten_seconds() {
    let desk = desk(10);
    desk.lead(&attempt("a")).settle(Ok(opened(1)), START);
    assert!(matches!(desk.admit(&attempt("a"), 10), Admission::Replay(session) if session == opened(1).id));
    assert!(matches!(desk.admit(&attempt("a"), 11), Admission::Used));
    let elsewhere = Attempt { client: Digest::sha256(b"laptop"), ..attempt("a") };
    assert!(matches!(desk.admit(&elsewhere, 1), Admission::Used));
}

#[test]
fn an_idempotency_key_is_answered_again_for_five_minutes() {
    let desk = desk(10);
    let keyed = |key: &[u8]| Attempt { idempotency_key: Some(Digest::sha256(key)), ..attempt("a") };
    desk.lead(&keyed(b"one")).settle(Ok(opened(1)), START);
    assert!(matches!(desk.admit(&keyed(b"one"), 299), Admission::Replay(_)));
    assert!(matches!(desk.admit(&keyed(b"two"), 1), Admission::Used));
    assert!(matches!(desk.admit(&keyed(b"one"), 300), Admission::Lead(_)));
}

#[tokio::test]
async fn an_exchange_that_dies_leaves_the_code_spent_and_nobody_waiting() {
    let desk = desk(10);
    let lead = desk.lead(&attempt("a"));
    let follower = lead.follow();
    drop(lead);
    assert!(matches!(follower.outcome().await, Err(LoginError::Timeout)));
    assert!(matches!(desk.admit(&attempt("a"), 1), Admission::Used));
}

#[test]
fn a_code_that_never_reached_wechat_may_come_again() {
    let desk = desk(10);
    for error in [LoginError::Unavailable, LoginError::RateLimited { retry_after: 60 }] {
        desk.lead(&attempt("a")).settle(Err(error), START);
    }
    desk.lead(&attempt("a")).settle(Err(LoginError::CodeRejected), START);
    assert!(matches!(desk.admit(&attempt("a"), 1), Admission::Used));
}

#[test]
fn a_code_of_an_app_that_wechat_refuses_is_not_sent_again() {
    let desk = desk(2);
    desk.lead(&attempt("a")).settle(Err(LoginError::Misconfigured { errcode: 40_013 }), START);
    let again = desk.admit(&attempt("a"), 1);
    assert!(matches!(again, Admission::Refused(LoginError::Misconfigured { errcode: 40_013 })), "{again:?}");
    let elsewhere = Attempt { client: Digest::sha256(b"laptop"), ..attempt("a") };
    assert!(matches!(desk.admit(&elsewhere, 1), Admission::Used));
    // Once the app is mended, what it was refused must not keep its users out.
    for code in ["b", "c", "d"] {
        desk.lead(&attempt(code)).settle(Err(LoginError::Misconfigured { errcode: 40_013 }), START);
    }
    desk.lead(&attempt("e"));
}

#[test]
fn a_login_proves_nothing_and_a_proof_opens_no_session() {
    let desk = desk(10);
    let step_up = |openid: &str, session: u64| {
        let purpose = Purpose::StepUp { openid: openid.parse().unwrap(), session: opened(session).id };
        Attempt { purpose, ..attempt("b") }
    };
    desk.lead(&attempt("a")).settle(Ok(opened(1)), START);
    let proof = Attempt { purpose: step_up("me", 1).purpose, ..attempt("a") };
    assert!(matches!(desk.admit(&proof, 1), Admission::Used));
    desk.lead(&step_up("me", 1)).settle(Ok(opened(1)), START);
    assert!(matches!(desk.admit(&attempt("b"), 1), Admission::Used));
    assert!(matches!(desk.admit(&step_up("somebody", 1), 1), Admission::Used));
    assert!(matches!(desk.admit(&step_up("me", 2), 1), Admission::Used), "of another session");
    assert!(matches!(desk.admit(&step_up("me", 1), 1), Admission::Replay(_)));
}

#[test]
fn the_same_code_of_two_apps_is_two_codes() {
    let desk = desk(10);
    let _lead = desk.lead(&attempt("a"));
    let other = AppId::new(START, &Random::seeded(9));
    assert!(matches!(desk.codes.admit(desk.tenant, other, &attempt("a"), START), Admission::Lead(_)));
}

#[test]
fn a_full_memory_lets_successes_go_and_keeps_rejected_codes() {
    let desk = desk(4);
    desk.lead(&attempt("rejected")).settle(Err(LoginError::CodeRejected), START);
    for code in ["a", "b", "c", "d"] {
        desk.lead(&attempt(code)).settle(Ok(opened(1)), START);
    }
    assert!(matches!(desk.admit(&attempt("rejected"), 1), Admission::Used));
    assert!(matches!(desk.admit(&attempt("d"), 1), Admission::Replay(_)));
}

#[test]
fn junk_codes_of_one_app_leave_room_for_others() {
    let desk = desk(4);
    for code in ["a", "b"] {
        desk.lead(&attempt(code)).settle(Err(LoginError::CodeRejected), START);
    }
    assert!(matches!(desk.admit(&attempt("c"), 1), Admission::Full));
    let other = AppId::new(START, &Random::seeded(9));
    assert!(matches!(desk.codes.admit(desk.tenant, other, &attempt("c"), START), Admission::Lead(_)));
    assert!(matches!(desk.admit(&attempt("c"), 300), Admission::Lead(_)));
}
