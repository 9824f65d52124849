//! Users as operators deal with them: erased, found, brought in from elsewhere. On every engine.

#[path = "users/erasure.rs"]
mod erasure;

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
);
