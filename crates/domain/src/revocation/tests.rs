use proptest::prelude::*;
use uuid::Uuid;
use wxgate_crypto::{Digest, encoding};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn session(n: u8) -> SessionId {
    SessionId::from(Uuid::from_u128(n.into()))
}

fn user(n: u8) -> UserId {
    UserId::from(Uuid::from_u128(n.into()))
}

fn app(n: u8) -> WechatAppid {
    format!("wx{n}").parse().unwrap()
}

fn tenant(n: u8) -> Slug {
    format!("t{n}").parse().unwrap()
}

fn kid(n: u8) -> Kid {
    encoding::to_base64url(Digest::sha256(&[n]).as_bytes()).parse().unwrap()
}

fn subject(kind: u8, n: u8) -> RevokedSubject {
    match kind {
        0 => RevokedSubject::Session(session(n)),
        1 => RevokedSubject::User(user(n)),
        2 => RevokedSubject::App(app(n)),
        3 => RevokedSubject::Tenant(tenant(n)),
        _ => RevokedSubject::Key(kid(n)),
    }
}

fn entry(subject: RevokedSubject, effect: RevocationEffect, expires: Option<Timestamp>) -> Revocation {
    Revocation { seq: 1, at: NOW, subject, effect, expires }
}

/// A token that has number `n` of everything, but number 0 of what is not the kind.
fn refuses(set: &RevokedSet, kind: u8, n: u8) -> bool {
    let of = |own: u8| if own == kind { n } else { 0 };
    set.refuses(Some(session(of(0))), Some(user(of(1))), Some(&app(of(2))), Some(&tenant(of(3))), &kid(of(4)))
}

#[test]
fn each_kind_refuses_its_own_tokens_and_no_other() {
    for kind in 0..5 {
        let mut set = RevokedSet::new(10);
        set.apply(&entry(subject(kind, 7), RevocationEffect::Ended, None)).unwrap();
        assert_eq!((set.len(), set.is_empty()), (1, false));
        for other in 0..5 {
            assert_eq!(refuses(&set, other, 7), other == kind);
            assert!(!refuses(&set, other, 8));
        }
        // A service client's token has neither session nor user nor app.
        assert_eq!(set.refuses(None, None, None, Some(&tenant(7)), &kid(7)), kind >= 3);
    }
}

#[test]
fn a_block_holds_until_it_is_lifted_and_a_session_or_key_never_comes_back() {
    for kind in 0..5 {
        let mut set = RevokedSet::new(10);
        set.apply(&entry(subject(kind, 1), RevocationEffect::Blocked, Some(NOW))).unwrap();
        set.forget_expired(NOW.plus(Duration::from_hours(10_000)));
        assert!(refuses(&set, kind, 1), "whatever it says of its end");
        set.apply(&entry(subject(kind, 1), RevocationEffect::Lifted, None)).unwrap();
        assert_eq!(refuses(&set, kind, 1), matches!(kind, 0 | 4));
    }
}

#[test]
fn what_has_expired_is_forgotten_only_after_the_last_verifiers_leeway() {
    let mut set = RevokedSet::new(10);
    set.apply(&entry(subject(0, 1), RevocationEffect::Ended, Some(NOW))).unwrap();
    set.apply(&entry(subject(4, 1), RevocationEffect::Ended, Some(NOW.plus(Duration::from_secs(5))))).unwrap();
    set.forget_expired(NOW.plus(Duration::from_millis(59_999)));
    assert_eq!(set.len(), 2);
    set.forget_expired(NOW.plus(Duration::from_mins(1)));
    assert!(!refuses(&set, 0, 1) && refuses(&set, 4, 1));
}

#[test]
fn an_entry_never_shortens_another() {
    let mut set = RevokedSet::new(10);
    let later = NOW.plus(Duration::from_hours(1));
    for expires in [None, Some(NOW), Some(later)] {
        set.apply(&entry(subject(1, 1), RevocationEffect::Ended, expires)).unwrap();
    }
    set.forget_expired(later.plus(Duration::from_hours(1)));
    assert!(refuses(&set, 1, 1));
}

#[test]
fn a_set_that_had_no_room_refuses_everything_for_good() {
    let mut set = RevokedSet::new(2);
    for n in 1..=2 {
        set.apply(&entry(subject(0, n), RevocationEffect::Ended, Some(NOW))).unwrap();
    }
    // What it has already needs no room.
    set.apply(&entry(subject(0, 1), RevocationEffect::Ended, None)).unwrap();
    assert!(!set.is_full() && !refuses(&set, 0, 9));

    let full = RevokedSetFull { capacity: 2 };
    assert_eq!(set.apply(&entry(subject(1, 1), RevocationEffect::Blocked, None)), Err(full));
    assert!(set.is_full() && refuses(&set, 0, 9) && set.refuses(None, None, None, Some(&tenant(9)), &kid(9)));
    assert!(set.refuses_key(&kid(9)));
    // Room that is made afterwards does not bring back what was not taken in.
    set.forget_expired(NOW.plus(Duration::from_hours(1)));
    assert_eq!(set.len(), 1);
    assert!(refuses(&set, 0, 9));
    assert_eq!(set.apply(&entry(subject(0, 1), RevocationEffect::Ended, None)), Err(full));
}

#[test]
fn subjects_and_effects_read_back_and_foreign_words_do_not() {
    for kind in 0..5 {
        let subject = subject(kind, 3);
        assert_eq!(RevokedSubject::parse(subject.kind(), &subject.id()), Ok(subject));
    }
    for (kind, id) in [("session", "1"), ("user", ""), ("app", "a b"), ("tenant", "A"), ("key", "k"), ("device", "1")] {
        assert!(RevokedSubject::parse(kind, id).is_err(), "{kind} {id}");
    }
    for effect in [RevocationEffect::Ended, RevocationEffect::Blocked, RevocationEffect::Lifted] {
        assert_eq!(RevocationEffect::from_word(effect.as_str()), Some(effect));
    }
    assert_eq!(RevocationEffect::from_word("Ended"), None);
}

proptest! {
    /// Against a model that remembers the whole feed and has no bound.
    #[test]
    fn it_never_lets_in_whom_the_whole_feed_refuses(
        feed in prop::collection::vec((0..5_u8, 1..4_u8, 0..3_u8, prop::option::of(0..300_u64), 0..20_u64), 0..40),
        capacity in 0..16_usize,
    ) {
        let mut set = RevokedSet::new(capacity);
        let mut model: Vec<(RevokedSubject, Option<Timestamp>)> = Vec::new();
        let mut now = NOW;
        for (kind, n, effect, life, pause) in feed {
            now = now.plus(Duration::from_secs(pause));
            let subject = subject(kind, n);
            let effect = [RevocationEffect::Ended, RevocationEffect::Blocked, RevocationEffect::Lifted][usize::from(effect)];
            let expires = life.map(|life| now.plus(Duration::from_secs(life)));
            let _ = set.apply(&Revocation { seq: 1, at: now, subject: subject.clone(), effect, expires });
            match effect {
                RevocationEffect::Lifted if matches!(kind, 1..=3) => model.retain(|(held, _)| *held != subject),
                RevocationEffect::Lifted => {}
                RevocationEffect::Blocked => model.push((subject, None)),
                RevocationEffect::Ended => model.push((subject, expires)),
            }
            set.forget_expired(now);
            prop_assert!(set.len() <= capacity);
            for (kind, n) in (0..5).flat_map(|kind| (1..4).map(move |n| (kind, n))) {
                let named = super::tests::subject(kind, n);
                let live = |(held, until): &(RevokedSubject, Option<Timestamp>)| {
                    *held == named && until.is_none_or(|until| until > now)
                };
                prop_assert!(refuses(&set, kind, n) || !model.iter().any(live));
                let remembered = |(held, until): &(RevokedSubject, Option<Timestamp>)| {
                    *held == named && until.is_none_or(|until| until.plus(KEPT_LONGER) > now)
                };
                prop_assert_eq!(refuses(&set, kind, n), set.is_full() || model.iter().any(remembered));
            }
        }
    }
}
