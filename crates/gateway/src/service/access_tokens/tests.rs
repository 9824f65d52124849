mod storm;
mod told_wechat;
mod with_wechat;

use wxgate_crypto::{KeyId, MacKey, Secret};
use wxgate_domain::{CredentialStatus, SecretFingerprint, SecretState, SecretStatus, Timestamp};
use wxgate_wechat_client::{AccessToken, CallError};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_305_600_000);
const LIFE: Duration = Duration::from_hours(2);
const CALLERS: usize = 1_000;

fn secret(text: &str) -> CredentialStatus {
    let key = MacKey::new(KeyId::from(1), Secret::new([7; 32]));
    CredentialStatus::AppSecret(SecretStatus {
        state: SecretState::Accepted,
        changed_at: None,
        fingerprint: SecretFingerprint::of(&text.parse().unwrap(), &key),
        previous: None,
    })
}

#[test]
fn apps_are_spread_around_the_moment_at_which_a_token_is_due() {
    let due = |chance| {
        let token = AccessToken::parse("89_token".to_owned()).unwrap();
        Held::new(token, (NOW, LIFE), chance).due.since(NOW).as_secs()
    };
    assert_eq!([0.0, 0.5, 1.0].map(due), [5_400, 5_760, 6_120], "75, 80 and 85 % of two hours");
}

fn token(text: &str) -> Arc<Held> {
    Arc::new(Held::new(AccessToken::parse(text.to_owned()).unwrap(), (NOW, LIFE), 0.5))
}

fn refused(errcode: i64) -> CallError {
    // Read as the client reads it: by way of a call that answers so.
    wxgate_wechat_client::CallError::from(wxgate_wechat_client::Refused {
        class: match errcode {
            40_164 | 89_503 | 89_506 | 89_507 => RefusedClass::AddressRefused,
            45_011 => RefusedClass::RateLimited,
            45_009 => RefusedClass::QuotaExhausted,
            -1 => RefusedClass::Busy,
            _ => RefusedClass::Misconfigured,
        },
        errcode,
        rid: None,
        our_address: None,
    })
}

#[test]
fn a_dead_token_is_let_go_once_however_many_say_so() {
    let holder = Arc::new(Holder::default());
    let key = secret("5ec2e7");
    let fetch = |text: &str| match holder.claim(&key, NOW) {
        Standing::Lead(lead, _) => lead.settle(&token(text), NOW),
        other => panic!("{other:?}"),
    };
    let held = || match holder.claim(&key, NOW) {
        Standing::Held(held) => held.token.expose().to_owned(),
        other => panic!("{other:?}"),
    };
    fetch("89_old");
    let old = token("89_old").token.digest();
    assert!(holder.bury(&old, NOW));
    fetch("89_new");
    // Those who failed with the old one take the new one; nobody fetches again.
    assert!((0..CALLERS).all(|_| holder.bury(&old, NOW)));
    assert_eq!(held(), "89_new");

    // WeChat calls it dead and gives it again: it is not asked about again for a while.
    let new = token("89_new").token.digest();
    assert!(holder.bury(&new, NOW));
    fetch("89_new");
    assert!((0..CALLERS).all(|_| !holder.bury(&new, NOW)));
    assert!(holder.bury(&new, NOW.plus(Duration::from_secs(31))));
}

#[test]
fn a_token_is_due_at_four_fifths_of_its_life_and_serves_until_its_end() {
    let holder = Arc::new(Holder::default());
    let key = secret("5ec2e7");
    let Standing::Lead(lead, _) = holder.claim(&key, NOW) else { panic!("nothing is held") };
    lead.settle(&token("89_first"), NOW);
    let at = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert!(holder.due(at(7_000)).is_none(), "nobody used it");
    assert!(matches!(holder.claim(&key, at(1)), Standing::Held(_)));
    assert!(holder.due(at(5_759)).is_none());
    let lead = holder.due(at(5_760)).unwrap();
    assert!(holder.due(at(5_760)).is_none(), "one fetch at a time");
    assert!(matches!(holder.claim(&key, at(7_100)), Standing::Held(_)), "the old one serves meanwhile");
    lead.fail(&refused(40_164), &key, at(5_760));
    assert!(holder.due(at(5_761)).is_none() && holder.due(at(5_760 + 600)).is_some());
    assert!(matches!(holder.claim(&key, at(7_189)), Standing::Held(_)), "a failed refresh takes nothing away");
    assert!(!matches!(holder.claim(&key, at(7_190)), Standing::Held(_)));
}

#[test]
fn what_an_operator_must_mend_is_not_asked_about_for_long() {
    let pauses = |errcode: i64, times: usize| {
        let holder = Arc::new(Holder::default());
        let mut now = NOW;
        let mut seconds = Vec::new();
        for _ in 0..times {
            let Standing::Lead(lead, _) = holder.claim(&secret("5ec2e7"), now) else { panic!("no pause is due") };
            lead.fail(&refused(errcode), &secret("5ec2e7"), now);
            let Standing::Paused(left) = holder.claim(&secret("5ec2e7"), now) else { panic!("a pause is due") };
            seconds.push(left.as_secs());
            now = now.plus(left);
        }
        seconds
    };
    assert_eq!(
        [40_164, 89_503, 89_507, 89_506].map(|errcode| pauses(errcode, 2)),
        [vec![600; 2], vec![600; 2], vec![3_600; 2], vec![86_400; 2]]
    );
    assert_eq!((pauses(45_011, 2), pauses(45_009, 1)), (vec![60; 2], vec![3_600]));
    assert_eq!(pauses(-1, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(pauses(40_125, 5), [60, 120, 240, 480, 600]);
}

#[test]
fn another_appsecret_need_not_wait_for_the_pause_of_the_one_before() {
    let holder = Arc::new(Holder::default());
    let (wrong, right) = (secret("wrong5ec2e7"), secret("5ec2e7"));
    let Standing::Lead(lead, _) = holder.claim(&wrong, NOW) else { panic!("nothing is held") };
    lead.fail(&refused(40_125), &wrong, NOW);
    assert!(matches!(holder.claim(&wrong, NOW), Standing::Paused(_)));
    let Standing::Lead(lead, _) = holder.claim(&right, NOW) else { panic!("another secret may try") };
    lead.fail(&refused(40_164), &right, NOW);
    // The address is the same whatever the secret.
    assert!(matches!(holder.claim(&wrong, NOW), Standing::Paused(_)));
}
