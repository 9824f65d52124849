//! What a tenant's services are told: written with what happens, carried out by one node at a time. On every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "webhooks/delivering.rs"]
mod delivering;
#[path = "webhooks/receipts.rs"]
mod receipts;
#[path = "webhooks/telling.rs"]
mod telling;

#[path = "support/logins.rs"]
mod logins;
#[path = "support/harness.rs"]
mod support;
#[path = "support/webhooks.rs"]
mod support_webhooks;

support::on_every_engine!(
    crate::telling::where_nobody_listens_nothing_is_written,
    crate::telling::who_logs_in_first_and_which_session_ends_is_told,
    crate::telling::a_webhook_is_told_of_what_it_wants_from_then_on,
    crate::telling::what_is_rolled_back_is_never_told,
    crate::telling::what_was_still_to_be_told_of_a_user_goes_with_them,
    crate::telling::what_came_of_somebody_before_they_were_a_user_goes_with_them,
    crate::delivering::one_node_at_a_time_has_the_turn_and_a_dead_one_loses_it,
    crate::delivering::a_receiver_that_fails_for_an_hour_gets_everything_in_order,
    crate::delivering::an_event_that_is_refused_holds_up_no_other,
    crate::delivering::while_secrets_rotate_there_are_two,
    crate::delivering::whoever_is_gone_is_told_nothing_until_enabled_again,
    crate::receipts::what_failed_for_a_day_is_given_up_and_told_again_on_demand,
    crate::receipts::after_a_week_nothing_is_remembered,
    crate::receipts::another_tenant_sees_and_moves_nothing,
);
