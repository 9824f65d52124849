use super::*;

const FIRST: Duration = Duration::from_secs(2);
const WELL: Course = Course { failures: 0, failing_since: None, paused_until: Timestamp::from_millis(0) };

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn tried(attempt: Attempt, attempts: u32, now: Timestamp) -> Tried {
    Tried { attempt, attempts, since: seconds(0), now, chance: 0.5 }
}

#[test]
fn a_failing_receiver_is_left_alone_ever_longer_and_for_a_minute_at_most() {
    let mut course = WELL;
    let mut now = seconds(10);
    let mut pauses = Vec::new();
    for attempts in 1..=8 {
        let settled = settle(course, &tried(Attempt::Answered(503), attempts, now), FIRST);
        pauses.push(settled.course.paused_until.since(now).as_secs());
        (course, now) = (settled.course, settled.course.paused_until);
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!((course.failures, course.failing_since), (8, Some(seconds(10))));
    let back = settle(course, &tried(Attempt::Answered(204), 9, now), FIRST);
    assert_eq!((back.state, back.course.failures, back.course.failing_since), (DeliveryState::Delivered, 0, None));
}

#[test]
fn an_event_that_is_refused_holds_up_no_other() {
    let settled = settle(WELL, &tried(Attempt::Answered(422), 3, seconds(10)), FIRST);
    assert_eq!((settled.due_at, settled.course.failures), (Some(seconds(18)), 0));
    assert!(settled.course.paused_until <= seconds(10));
}

#[test]
fn who_fails_while_the_receiver_fails_waits_for_the_receiver_only() {
    let failing = Course { failures: 3, failing_since: Some(seconds(0)), paused_until: seconds(0) };
    let settled = settle(failing, &tried(Attempt::Unanswered(AttemptError::Unreachable), 12, seconds(100)), FIRST);
    assert_eq!(settled.due_at, Some(settled.course.paused_until));
    assert_eq!(settled.course.paused_until, seconds(116));
    let first = settle(WELL, &tried(Attempt::Answered(500), 12, seconds(100)), FIRST);
    assert_eq!(first.due_at, Some(seconds(100 + 15 * 60)));
}

#[test]
fn after_a_day_it_is_given_up_and_not_before() {
    let day = i64::try_from(GIVE_UP.as_secs()).unwrap();
    let late = settle(WELL, &tried(Attempt::Answered(500), 90, seconds(day)), FIRST);
    assert_eq!((late.state, late.due_at), (DeliveryState::Failed, None));
    let in_time = settle(WELL, &tried(Attempt::Answered(500), 90, seconds(day - 1)), FIRST);
    assert_eq!(in_time.state, DeliveryState::Waiting);
    let taken = settle(WELL, &tried(Attempt::Answered(200), 90, seconds(day)), FIRST);
    assert_eq!(taken.state, DeliveryState::Delivered);
}

#[test]
fn a_redirect_is_a_failure_and_gone_is_not_one() {
    assert_eq!(Attempt::Answered(302).meaning(), Meaning::Failing);
    assert_eq!(Attempt::Answered(101).meaning(), Meaning::Failing);
    let gone = settle(WELL, &tried(Attempt::Answered(410), 1, seconds(10)), FIRST);
    assert_eq!((gone.state, gone.due_at, gone.course.failures), (DeliveryState::Waiting, Some(seconds(10)), 0));
}

#[test]
fn words_read_back() {
    for state in DeliveryState::ALL {
        assert_eq!(DeliveryState::from_word(state.as_str()), Some(state));
    }
    for error in AttemptError::ALL {
        assert_eq!(AttemptError::from_word(error.as_str()), Some(error));
    }
}
