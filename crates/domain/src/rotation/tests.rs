use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn phone() -> Presenter {
    Presenter::new([1; 8], [1; 8])
}

fn stranger() -> Presenter {
    Presenter::new([9; 8], [9; 8])
}

/// A session in its fifth turn, which began ten seconds ago.
fn session() -> SessionState {
    SessionState {
        generation: 5,
        opened_at: NOW.minus(seconds(86_400)),
        refreshed_at: Some(NOW.minus(seconds(10))),
        ended: None,
        standing: Standing::Good,
        presenter: Some(phone()),
        contested_generation: None,
        contested: 0,
    }
}

fn presented(generation: u32) -> Presented {
    Presented { generation, presenter: phone(), now: NOW }
}

fn decide(session: &SessionState, generation: u32) -> Decision {
    session.decide(&presented(generation), &TenantPolicy::default())
}

#[test]
fn the_present_token_moves_the_session_on() {
    assert_eq!(decide(&session(), 5), Decision::Rotate(6));
    let first = SessionState { generation: 0, refreshed_at: None, ..session() };
    assert_eq!(decide(&first, 0), Decision::Rotate(1));
}

#[test]
fn a_lost_answer_can_be_asked_for_again_inside_the_window_only() {
    let after = |age| SessionState { refreshed_at: Some(NOW.minus(age)), ..session() };
    assert_eq!(decide(&session(), 4), Decision::Repeat(5));
    assert_eq!(decide(&after(Duration::from_millis(29_999)), 4), Decision::Repeat(5));
    assert_eq!(decide(&after(seconds(30)), 4), Decision::End(EndReason::LostAnswer));
    // Nodes whose clocks differ: a turn that begins in the future began now.
    let ahead = SessionState { refreshed_at: Some(NOW.plus(seconds(5))), ..session() };
    assert_eq!(decide(&ahead, 4), Decision::Repeat(5));
    let strict = TenantPolicy { refresh_grace_seconds: 0, ..TenantPolicy::default() };
    assert_eq!(session().decide(&presented(4), &strict), Decision::End(EndReason::LostAnswer));
}

#[test]
fn old_tokens_and_tokens_from_the_future_end_the_session_each_for_its_reason() {
    assert_eq!(decide(&session(), 3), Decision::End(EndReason::Reuse));
    assert_eq!(decide(&session(), 0), Decision::End(EndReason::Reuse));
    assert_eq!(decide(&session(), 6), Decision::End(EndReason::StateLost));
}

#[test]
fn whatever_ended_the_session_comes_before_the_window() {
    let ended = SessionState { ended: Some(EndReason::Logout), ..session() };
    let blocked = SessionState { standing: Standing::UserBlocked, ended: Some(EndReason::Blocked), ..session() };
    let disabled = SessionState { standing: Standing::AppDisabled, ..session() };
    let swept = SessionState { standing: Standing::Swept, ..session() };
    for generation in 0..8 {
        assert_eq!(decide(&ended, generation), Decision::Refuse(Refusal::Ended(EndReason::Logout)));
        assert_eq!(decide(&blocked, generation), Decision::Refuse(Refusal::UserBlocked));
        assert_eq!(decide(&disabled, generation), Decision::Refuse(Refusal::AppDisabled));
        assert_eq!(decide(&swept, generation), Decision::End(EndReason::Swept));
    }
}

#[test]
fn a_session_ends_when_it_idles_or_is_too_old() {
    let policy = TenantPolicy::default();
    let expired = Decision::Refuse(Refusal::Ended(EndReason::Expired));
    let idle = SessionState {
        opened_at: NOW.minus(policy.refresh_idle() * 2),
        refreshed_at: Some(NOW.minus(policy.refresh_idle())),
        ..session()
    };
    assert_eq!(decide(&idle, 5), expired);
    let old = SessionState { opened_at: NOW.minus(policy.refresh_absolute()), ..session() };
    assert_eq!(decide(&old, 5), expired);
    let never_refreshed =
        SessionState { generation: 0, refreshed_at: None, opened_at: NOW.minus(policy.refresh_idle()), ..session() };
    assert_eq!(decide(&never_refreshed, 0), expired);
}

#[test]
fn a_stranger_who_repeats_every_turn_ends_the_session() {
    let policy = TenantPolicy::default();
    let mut session = session();
    let by_stranger = |session: &SessionState| {
        let presented = Presented { presenter: stranger(), ..presented(session.generation - 1) };
        session.decide(&presented, &policy)
    };
    for in_a_row in 1..=3 {
        assert_eq!(by_stranger(&session), Decision::RepeatToStranger(session.generation, in_a_row));
        session.contested = in_a_row;
        session.contested_generation = Some(session.generation);
        assert_eq!(by_stranger(&session), Decision::Repeat(session.generation), "a turn counts once");
        session.generation += 1;
    }
    assert_eq!(by_stranger(&session), Decision::End(EndReason::Contested));
    // A turn that nobody repeated begins the count anew.
    session.generation += 1;
    assert_eq!(by_stranger(&session), Decision::RepeatToStranger(session.generation, 1));
}

#[test]
fn a_phone_that_changes_its_network_or_its_software_is_no_stranger() {
    for presenter in [Presenter::new([9; 8], [1; 8]), Presenter::new([1; 8], [9; 8])] {
        let presented = Presented { presenter, ..presented(4) };
        assert_eq!(session().decide(&presented, &TenantPolicy::default()), Decision::Repeat(5));
    }
}

#[test]
fn reasons_and_presenters_read_back() {
    for reason in EndReason::ALL {
        assert_eq!(EndReason::from_word(reason.as_str()), Some(reason));
        assert!(reason.as_str().len() <= 16, "{reason:?} does not fit its column");
    }
    assert_eq!(Presenter::from_bytes(&stranger().to_bytes()), Some(stranger()));
    assert_eq!(Presenter::from_bytes(&[0; 15]), None);
}

proptest! {
    /// Two turns are never live at once: whatever is answered is the present turn or, once, the next.
    #[test]
    fn an_answer_is_the_present_turn_or_the_next(generation in 0..10_u32, presented_generation in 0..12_u32, age in 0..90_u64) {
        let state = SessionState { generation, refreshed_at: Some(NOW.minus(seconds(age))), ..session() };
        match decide(&state, presented_generation) {
            Decision::Rotate(next) => prop_assert!(next == generation + 1 && presented_generation == generation),
            Decision::Repeat(turn) => prop_assert!(turn == generation && presented_generation + 1 == generation && age < 30),
            Decision::End(_) => prop_assert!(presented_generation != generation),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
