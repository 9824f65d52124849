//! Two users who become one, and two again. On every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "merges/candidates.rs"]
mod candidates;
#[path = "merges/couple.rs"]
mod couple;
#[path = "merges/crash.rs"]
mod crash;
#[path = "merges/gone.rs"]
mod gone;
#[path = "merges/joining.rs"]
mod joining;
#[path = "merges/model.rs"]
mod model;
#[path = "merges/races.rs"]
mod races;
#[path = "merges/steps.rs"]
mod steps;
#[path = "merges/tokens.rs"]
mod tokens;
#[path = "merges/undoing.rs"]
mod undoing;

#[path = "support/logins.rs"]
mod logins;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::candidates::a_late_unionid_of_somebody_elses_is_noted_once_and_joins_nobody,
    crate::candidates::a_changed_unionid_joins_nobody_and_says_so,
    crate::candidates::a_unionid_says_who_the_user_is_for_as_long_as_it_does,
    crate::candidates::whoever_was_told_apart_is_not_asked_about_again,
    crate::candidates::another_tenant_sees_and_decides_nothing,
    crate::crash::killed_at_any_step_a_merge_is_whole_or_was_never_there,
    crate::gone::the_old_id_leads_to_the_survivor_everywhere,
    crate::gone::a_ban_is_never_escaped_by_merging,
    crate::gone::erasing_the_survivor_takes_everybody_along,
    crate::gone::whoever_was_told_apart_and_erased_stays_erased,
    crate::gone::a_backup_from_before_the_merge_brings_nobody_back,
    crate::joining::everything_moves_and_sessions_go_on,
    crate::joining::sessions_that_were_over_stay_over,
    crate::joining::what_the_survivor_has_stays_and_what_they_lack_is_filled_in,
    crate::joining::a_phone_number_goes_along_unless_the_survivor_has_one,
    crate::joining::who_is_known_as_two_stays_two,
    crate::joining::another_tenant_merges_and_undoes_nothing,
    crate::model::any_order_of_moves_leaves_each_account_with_its_user,
    crate::races::two_merges_that_cross_make_one_user,
    crate::races::logins_during_a_merge_lose_nothing,
    crate::races::a_block_during_a_merge_holds,
    crate::races::an_erasure_during_a_merge_leaves_nothing,
    crate::steps::stopped_after_any_step_a_merge_is_whole_or_was_never_there,
    crate::tokens::a_merge_token_counts_once_for_its_session_and_five_minutes,
    crate::undoing::what_moved_goes_back_and_what_came_since_stays,
    crate::undoing::chains_come_apart_in_any_order,
    crate::undoing::both_sides_must_be_there,
    crate::undoing::after_seven_days_it_is_too_late,
    crate::undoing::a_block_of_the_survivor_holds_for_both,
    crate::undoing::what_was_taken_back_does_not_come_back,
);
