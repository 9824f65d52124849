//! Refreshes and ends of sessions, and the feed that tells of them, on every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "refresh/device.rs"]
mod device;
#[path = "refresh/ends.rs"]
mod ends;
#[path = "refresh/feed.rs"]
mod feed;
#[path = "support/logins.rs"]
mod logins;
#[path = "refresh/model.rs"]
mod model;
#[path = "refresh/races.rs"]
mod races;
#[path = "support/harness.rs"]
mod support;
#[path = "refresh/sweep.rs"]
mod sweep;
#[path = "refresh/turns.rs"]
mod turns;

support::on_every_engine!(
    crate::turns::a_session_moves_on_turn_by_turn,
    crate::turns::fifty_parallel_refreshes_make_one_turn,
    crate::turns::a_lost_answer_is_given_again_inside_the_window,
    crate::turns::what_comes_too_late_ends_the_session_as_a_lost_answer,
    crate::turns::reuse_of_an_old_token_ends_the_session,
    crate::turns::a_token_of_a_turn_that_is_not_there_yet_ends_the_session,
    crate::turns::replay_is_refused_by_another_process_and_after_a_restart,
    crate::turns::another_tenant_and_another_app_refresh_nothing,
    crate::turns::a_session_that_idled_is_over,
    crate::turns::the_twenty_first_session_ends_the_first,
    crate::turns::a_stranger_who_repeats_every_turn_ends_the_session,
    crate::ends::blocked_users_are_refused_and_unblocking_revives_nothing,
    crate::ends::a_disabled_app_and_a_suspended_tenant_are_refused_until_they_are_back,
    crate::ends::sessions_end_once_and_only_their_users,
    crate::ends::a_restore_of_what_never_served_is_no_error,
    crate::ends::a_restore_ends_every_session_and_voids_every_token,
    crate::feed::entries_are_numbered_and_read_in_pages,
    crate::feed::an_end_is_told_for_as_long_as_the_longest_token_lives,
    crate::feed::cursors_of_others_and_from_before_a_restore_are_gone,
    crate::feed::refuses_the_cursor_of_another_life_of_the_same_backup,
    crate::feed::numbers_have_no_gaps_under_concurrent_ends,
    crate::feed::a_follower_that_fell_behind_must_begin_anew,
    crate::feed::a_lifted_block_is_no_news_to_newcomers,
    crate::feed::another_process_hears_of_an_end,
    crate::races::a_block_that_commits_first_always_wins,
    crate::races::a_suspension_that_commits_first_always_wins,
    crate::races::a_race_with_the_end_leaves_no_live_child,
    crate::sweep::sessions_that_are_over_are_deleted_a_day_later,
);

mod against_a_model {
    #[test]
    fn random_interleavings_agree_with_a_model() {
        crate::model::random_interleavings_agree_with_a_model();
    }
}
