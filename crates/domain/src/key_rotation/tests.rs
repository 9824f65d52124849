use std::collections::HashSet;

use proptest::prelude::*;
use wxgate_crypto::{Random, encoding};

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const TICK: Duration = Duration::from_millis(1);
const START: Timestamp = Timestamp::from_millis(1_795_305_600_000);

fn just_short_of(time: Duration) -> Duration {
    time.checked_sub(TICK).unwrap()
}

/// A ring, and what is known of its past. It carries steps out as storage does.
struct Model {
    keys: Vec<RingKey>,
    policy: TenantPolicy,
    now: Timestamp,
    random: Random,
    /// When each key that ever signed last did.
    signed: Vec<(Kid, Timestamp)>,
    /// Keys that an operator said to be stolen.
    stolen: HashSet<Kid>,
}

impl Model {
    /// A new tenant's ring.
    fn new() -> Self {
        let mut model = Self {
            keys: Vec::new(),
            policy: TenantPolicy::default(),
            now: START,
            random: Random::seeded(7),
            signed: Vec::new(),
            stolen: HashSet::new(),
        };
        for state in [SigningKeyState::Active, SigningKeyState::Next] {
            model.make(SigningAlgorithm::ES256, state);
        }
        model.sign();
        model
    }

    fn make(&mut self, algorithm: SigningAlgorithm, state: SigningKeyState) {
        let kid = encoding::to_base64url(self.random.bytes::<32>()).parse().unwrap();
        let (published_at, activated_at, retired_at) = (self.now, None, None);
        self.keys.push(RingKey { kid, algorithm, state, published_at, activated_at, retired_at });
    }

    fn of(&self, state: SigningKeyState) -> Vec<RingKey> {
        self.keys.iter().filter(|key| key.state == state).cloned().collect()
    }

    fn active(&self) -> RingKey {
        let [active] = &self.of(SigningKeyState::Active)[..] else { panic!("{:?}", self.keys) };
        active.clone()
    }

    fn next(&self) -> RingKey {
        let [next] = &self.of(SigningKeyState::Next)[..] else { panic!("{:?}", self.keys) };
        next.clone()
    }

    /// A token is issued.
    fn sign(&mut self) {
        let (kid, now) = (self.active().kid, self.now);
        self.signed.retain(|(other, _)| *other != kid);
        self.signed.push((kid, now));
    }

    fn carry_out(&mut self, steps: &[KeyStep], emergency: bool) {
        for step in steps {
            match step {
                KeyStep::Publish(algorithm) => self.make(*algorithm, SigningKeyState::Next),
                KeyStep::Promote(kid) => {
                    for key in &mut self.keys {
                        if key.state == SigningKeyState::Active {
                            (key.state, key.retired_at) = (SigningKeyState::Retiring, Some(self.now));
                        } else if key.kid == *kid {
                            assert_eq!(key.state, SigningKeyState::Next);
                            let published_for = self.now.since(key.published_at);
                            assert!(emergency || published_for >= PUBLISHED_FIRST, "it signs after {published_for:?}");
                            (key.state, key.activated_at) = (SigningKeyState::Active, Some(self.now));
                        }
                    }
                }
                KeyStep::Forget(kid) => {
                    let before = self.keys.len();
                    self.keys.retain(|key| key.kid != *kid);
                    assert_eq!(self.keys.len(), before - 1, "it was there");
                }
            }
        }
        self.check();
    }

    /// One signs, and what any token that lives was signed by verifies.
    fn check(&self) {
        self.active();
        for (kid, last) in &self.signed {
            let lives = self.now <= last.plus(DAY).plus(Duration::from_secs(30));
            let published = self.keys.iter().any(|key| key.kid == *kid);
            assert!(published || !lives || self.stolen.contains(kid), "{kid} is forgotten while its tokens live");
        }
    }

    fn keep(&mut self) -> Vec<KeyStep> {
        let steps = due(&self.keys, &self.policy, self.now);
        self.carry_out(&steps, false);
        assert_eq!(due(&self.keys, &self.policy, self.now), [], "nothing is due twice");
        assert_eq!(self.next().algorithm, self.policy.algorithm);
        steps
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.sign();
    }
}

#[derive(Clone, Debug)]
enum Move {
    Pass(Duration),
    Keep,
    Rotate,
    Retire(prop::sample::Index),
    Days(u32),
    Algorithm(SigningAlgorithm),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        6 => (1_u64..100).prop_map(|hours| Move::Pass(HOUR * u32::try_from(hours).unwrap())),
        2 => (1_u64..7_200).prop_map(|seconds| Move::Pass(Duration::from_secs(seconds))),
        6 => Just(Move::Keep),
        2 => Just(Move::Rotate),
        1 => any::<prop::sample::Index>().prop_map(Move::Retire),
        1 => (2_u32..=20).prop_map(Move::Days),
        1 => prop::sample::select(&SigningAlgorithm::ALL[..]).prop_map(Move::Algorithm),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_one_key_signs_known_to_all_and_verifies_as_long_as_its_tokens(
        moves in prop::collection::vec(moves(), 1..80)
    ) {
        let mut model = Model::new();
        model.keep();
        for one in moves {
            match one {
                Move::Pass(time) => model.pass(time),
                Move::Keep => drop(model.keep()),
                Move::Rotate => {
                    if let Ok(steps) = rotate(&model.keys, &model.policy, model.now) {
                        model.carry_out(&steps, false);
                        model.sign();
                    }
                }
                Move::Retire(index) => {
                    let kid = index.get(&model.keys).kid.clone();
                    model.stolen.insert(kid.clone());
                    let steps = retire(&model.keys, &kid, &model.policy).unwrap();
                    model.carry_out(&steps, true);
                    prop_assert!(model.keys.iter().all(|key| key.kid != kid));
                    model.sign();
                }
                Move::Days(days) => model.policy.signing_key_days = days,
                Move::Algorithm(algorithm) => model.policy.algorithm = algorithm,
            }
        }
    }
}

#[test]
fn a_key_lives_through_its_states_by_schedule() {
    let mut model = Model::new();
    let (first, second) = (model.active(), model.next());
    assert_eq!(model.keep(), []);
    let promotion = START.plus(90 * DAY);
    for key in [&first, &second] {
        assert_eq!(moves_at(key, &model.keys, &model.policy), Some(promotion));
    }
    model.pass(just_short_of(90 * DAY));
    assert_eq!(model.keep(), []);
    model.pass(TICK);
    assert_eq!(
        model.keep(),
        [KeyStep::Promote(second.kid.clone()), KeyStep::Publish(SigningAlgorithm::ES256)],
        "the successor of the successor is published at once"
    );
    assert_eq!(model.active().kid, second.kid);
    let retiring = model.of(SigningKeyState::Retiring)[0].clone();
    assert_eq!(moves_at(&retiring, &model.keys, &model.policy), Some(promotion.plus(VERIFIES_ON)));
    model.pass(just_short_of(VERIFIES_ON));
    assert_eq!(model.keep(), []);
    model.pass(TICK);
    assert_eq!(model.keep(), [KeyStep::Forget(first.kid)]);
}

#[test]
fn a_missing_next_is_published_and_waits_a_day_however_old_the_active_is() {
    let mut model = Model::new();
    model.keys.truncate(1);
    model.pass(400 * DAY);
    assert_eq!(model.keep(), [KeyStep::Publish(SigningAlgorithm::ES256)]);
    model.pass(just_short_of(DAY));
    assert_eq!(model.keep(), []);
    model.pass(TICK);
    assert!(matches!(model.keep()[..], [KeyStep::Promote(_), KeyStep::Publish(_)]));
}

#[test]
fn another_algorithm_comes_with_the_next_key_which_waits_anew() {
    let mut model = Model::new();
    let old = model.next();
    model.pass(89 * DAY + 23 * HOUR);
    model.policy.algorithm = SigningAlgorithm::EdDSA;
    assert_eq!(model.keep(), [KeyStep::Forget(old.kid), KeyStep::Publish(SigningAlgorithm::EdDSA)]);
    model.pass(23 * HOUR);
    assert_eq!(model.keep(), [], "the old algorithm signs until the new key is known");
    assert_eq!(model.active().algorithm, SigningAlgorithm::ES256);
    model.pass(HOUR);
    model.keep();
    assert_eq!(model.active().algorithm, SigningAlgorithm::EdDSA);
}

#[test]
fn an_operator_rotates_early_but_not_before_verifiers_know_the_key() {
    let mut model = Model::new();
    let next = model.next();
    model.pass(just_short_of(DAY));
    let refused = rotate(&model.keys, &model.policy, model.now).unwrap_err();
    assert_eq!(refused, KeyMoveError::NotYet { until: START.plus(DAY) });
    model.pass(TICK);
    let steps = rotate(&model.keys, &model.policy, model.now).unwrap();
    model.carry_out(&steps, false);
    assert_eq!(model.active().kid, next.kid);
    let alone = model.of(SigningKeyState::Active);
    assert_eq!(rotate(&alone, &model.policy, model.now).unwrap_err(), KeyMoveError::NoNext);
}

#[test]
fn a_stolen_key_goes_at_once_whatever_its_state() {
    let mut model = Model::new();
    let (active, next) = (model.active(), model.next());
    let steps = retire(&model.keys, &active.kid, &model.policy).unwrap();
    let publish = KeyStep::Publish(SigningAlgorithm::ES256);
    assert_eq!(steps, [KeyStep::Promote(next.kid.clone()), KeyStep::Forget(active.kid.clone()), publish.clone()]);
    model.stolen.insert(active.kid.clone());
    model.carry_out(&steps, true);
    assert_eq!(model.active().kid, next.kid, "the one that was published signs, though for no day yet");
    assert_eq!(retire(&model.keys, &active.kid, &model.policy).unwrap_err(), KeyMoveError::Unknown);

    let next = model.next();
    let steps = retire(&model.keys, &next.kid, &model.policy).unwrap();
    assert_eq!(steps, [KeyStep::Forget(next.kid), publish]);
    let alone = model.of(SigningKeyState::Active);
    assert_eq!(retire(&alone, &alone[0].kid, &model.policy).unwrap_err(), KeyMoveError::NoNext);
}

#[test]
fn a_ring_that_lost_its_active_key_mends_itself() {
    let mut model = Model::new();
    model.keys.remove(0);
    model.policy.algorithm = SigningAlgorithm::EdDSA;
    let steps = due(&model.keys, &model.policy, model.now);
    assert!(matches!(steps[..], [KeyStep::Promote(_), KeyStep::Publish(SigningAlgorithm::EdDSA)]), "{steps:?}");
    assert_eq!(due(&[], &model.policy, model.now), [KeyStep::Publish(SigningAlgorithm::EdDSA)]);
}

#[test]
fn a_clock_that_was_set_back_moves_nothing() {
    let mut model = Model::new();
    model.pass(90 * DAY);
    model.keep();
    assert_eq!(due(&model.keys, &model.policy, START), []);
}
