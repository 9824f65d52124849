//! Users as operators deal with them: erased, found, brought in from elsewhere. On every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "users/erasure.rs"]
mod erasure;
#[path = "users/importing.rs"]
mod importing;

#[path = "support/logins.rs"]
mod logins;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::erasure::nothing_stays_of_whoever_is_erased_but_digests,
    crate::erasure::a_ban_outlives_the_erasure_until_it_is_lifted,
    crate::erasure::a_later_erasure_lifts_nobodys_ban,
    crate::erasure::logins_during_an_erasure_come_before_or_after_it,
    crate::erasure::a_backup_brings_nobody_back,
    crate::erasure::another_tenant_erases_and_ends_nothing,
    crate::importing::the_same_rows_again_change_nothing,
    crate::importing::what_is_missing_is_filled_in_and_what_is_there_stays,
    crate::importing::a_conflict_is_told_and_stops_nothing,
    crate::importing::an_import_beside_logins_makes_one_user_of_each,
    crate::importing::another_tenants_users_are_out_of_reach,
);
