//! Logins: who is who, on every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/logins.rs"]
mod logins;
#[path = "open_session/model.rs"]
mod model;
#[path = "open_session/reading.rs"]
mod reading;
#[path = "open_session/stories.rs"]
mod stories;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::stories::a_returning_login_keeps_its_user,
    crate::stories::similar_openids_are_different_users,
    crate::stories::an_openid_means_something_in_its_app_only,
    crate::stories::concurrent_first_logins_make_one_user,
    crate::stories::two_processes_make_one_user_of_one_openid,
    crate::stories::two_processes_make_one_user_of_one_unionid,
    crate::stories::a_unionid_means_something_in_its_group_only,
    crate::stories::a_late_unionid_joins_later_identities,
    crate::stories::a_late_unionid_of_another_user_joins_nobody,
    crate::stories::a_changed_unionid_joins_nobody,
    crate::stories::a_blocked_user_is_refused_everywhere,
    crate::reading::a_repeated_login_reads_the_same_session,
    crate::reading::a_session_is_replayed_only_while_it_is_live,
    crate::reading::the_key_ring_holds_the_newest_keys,
    crate::reading::a_proof_keeps_its_key_and_is_nobody_s_session,
    crate::model::random_logins_agree_with_a_model,
);
