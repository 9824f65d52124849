//! One suite, all engines: what every engine must do alike.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "conformance/access_tokens.rs"]
mod access_tokens;
#[path = "conformance/acting.rs"]
mod acting;
#[path = "conformance/admin.rs"]
mod admin;
#[path = "conformance/api_security.rs"]
mod api_security;
#[path = "conformance/apps.rs"]
mod apps;
#[path = "conformance/audiences.rs"]
mod audiences;
#[path = "conformance/audit.rs"]
mod audit;
#[path = "conformance/changes.rs"]
mod changes;
#[path = "conformance/deletion.rs"]
mod deletion;
#[path = "conformance/identities.rs"]
mod identities;
#[path = "conformance/ids.rs"]
mod ids;
#[path = "conformance/isolation.rs"]
mod isolation;
#[path = "conformance/jobs.rs"]
mod jobs;
#[path = "conformance/keys.rs"]
mod keys;
#[path = "conformance/migrations.rs"]
mod migrations;
#[path = "conformance/platforms.rs"]
mod platforms;
#[path = "conformance/policies.rs"]
mod policies;
#[path = "conformance/pushes.rs"]
mod pushes;
#[path = "conformance/sealing.rs"]
mod sealing;
#[path = "conformance/service_clients.rs"]
mod service_clients;
#[path = "conformance/signing_keys.rs"]
mod signing_keys;
#[path = "conformance/start.rs"]
mod start;
#[path = "conformance/sweep.rs"]
mod sweep;

#[path = "conformance/wechat_calls.rs"]
mod wechat_calls;

#[path = "support/harness.rs"]
mod support;
#[path = "support/rows.rs"]
mod support_rows;

support::on_every_engine!(
    crate::access_tokens::one_node_fetches_a_token_and_all_share_it,
    crate::access_tokens::a_node_whose_lease_ran_out_writes_nothing,
    crate::access_tokens::another_tenant_has_no_token_and_no_lease,
    crate::access_tokens::one_report_of_a_dead_token_is_looked_into_in_a_minute_at_all_nodes,
    crate::access_tokens::a_token_lies_sealed_and_goes_when_it_has_ended_or_its_app_goes,
    crate::access_tokens::a_session_key_is_replaced_where_it_stands,
    crate::acting::a_session_acts_while_all_of_user_app_and_tenant_may,
    crate::admin::what_was_written_comes_back,
    crate::admin::an_appid_belongs_to_one_tenant,
    crate::admin::slugs_and_group_names_are_taken_once,
    crate::admin::a_secret_is_rotated_through_two_slots,
    crate::admin::statuses_and_the_only_enabled_app,
    crate::admin::what_is_not_committed_never_was,
    crate::admin::a_profile_is_laid_over_what_is_stored,
    crate::admin::blocking_ends_sessions_for_good,
    crate::api_security::keys_for_signed_calls_rotate_beside_those_before,
    crate::apps::a_registration_that_nobody_proved_owns_nothing,
    crate::apps::whoever_served_is_not_displaced,
    crate::apps::the_sweep_forgets_what_nobody_proved_and_secrets_that_are_over,
    crate::apps::a_removed_app_leaves_its_users_and_the_memory_of_its_appid,
    crate::apps::an_app_goes_by_a_job_that_another_node_takes_over_and_that_spares_what_came_after_it,
    crate::apps::what_is_named_or_lived_in_is_not_removed,
    crate::apps::lists_come_in_pages_of_one_tenant_or_of_all,
    crate::audiences::an_audience_belongs_to_one_tenant,
    crate::audiences::no_audience_is_another_tenants_appid,
    crate::audiences::of_two_tenants_that_want_one_name_at_once_one_gets_it,
    crate::audiences::a_policy_names_only_what_its_tenant_owns,
    crate::audit::entries_come_back_and_the_chain_is_whole,
    crate::audit::writers_at_once_leave_no_gap,
    crate::audit::many_entries_of_one_transaction_are_one_chain,
    crate::audit::a_change_of_any_column_is_found,
    crate::audit::what_is_removed_or_added_is_found,
    crate::audit::a_tail_that_was_cut_off_is_found,
    crate::audit::a_log_that_went_with_its_keys_is_missed,
    crate::audit::what_cannot_even_be_read_is_named_and_hides_nothing,
    crate::audit::a_tenant_older_than_the_log_gets_one_and_a_lost_log_stays_lost,
    crate::audit::a_log_that_was_put_back_is_found_by_its_checkpoint,
    crate::audit::a_broken_chain_stays_broken,
    crate::audit::what_is_personal_is_forgotten,
    crate::audit::old_entries_go_and_the_chain_holds,
    crate::audit::who_sets_back_a_date_gets_rid_of_nothing,
    crate::changes::a_change_reaches_another_process,
    crate::changes::numbers_have_no_gaps_under_concurrent_writers,
    crate::changes::a_log_that_cannot_be_read_grows_old,
    crate::deletion::a_backup_brings_no_deleted_tenant_back,
    crate::deletion::nothing_is_left_of_a_tenant,
    crate::identities::a_user_is_found_by_what_wechat_calls_them,
    crate::ids::ids_that_differ_by_case_stay_apart,
    crate::isolation::another_tenant_sees_nothing,
    crate::isolation::another_tenant_changes_nothing,
    crate::isolation::another_tenant_has_no_say_in_who_is_trusted,
    crate::isolation::another_tenant_moves_nothing,
    crate::isolation::another_tenant_opens_and_replays_nothing,
    crate::isolation::references_cannot_leave_their_tenant,
    crate::jobs::a_job_is_asked_for_once_and_belongs_to_somebody,
    crate::jobs::a_node_is_live_while_it_says_so,
    crate::keys::another_master_key_takes_over_and_the_old_one_goes,
    crate::keys::what_a_seal_key_sealed_is_sealed_anew,
    crate::keys::a_transaction_that_replaces_a_key_goes_on_with_the_new_one,
    crate::keys::a_mac_key_stays_as_long_as_a_session_names_it,
    crate::keys::data_keys_of_another_tenant_are_out_of_reach,
    crate::migrations::up_down_up,
    crate::migrations::sessions_outlive_the_change_of_their_table,
    crate::migrations::nodes_that_migrate_at_once_do_not_collide,
    crate::migrations::an_old_schema_is_refused_with_the_remedy,
    crate::migrations::a_newer_schema_is_refused,
    crate::platforms::the_newest_ticket_stays,
    crate::platforms::token_and_key_of_a_platform_change_with_overlap,
    crate::platforms::one_fetches_a_token_at_a_time,
    crate::platforms::an_older_event_changes_nothing,
    crate::platforms::a_request_counts_once,
    crate::platforms::an_app_changes_sides,
    crate::platforms::a_platform_is_one_tenants,
    crate::policies::a_policy_is_changed_as_a_whole_or_not_at_all,
    crate::policies::two_changes_of_one_policy_are_both_kept,
    crate::pushes::settings_are_made_once_changed_and_removed,
    crate::pushes::token_and_key_before_count_until_they_are_forgotten,
    crate::pushes::a_push_is_known_again_and_nothing_else_uses_its_stamp,
    crate::pushes::of_two_nodes_with_one_push_one_does_it,
    crate::pushes::pushes_of_long_ago_are_forgotten,
    crate::pushes::a_user_loses_the_parts_of_a_profile_that_are_named,
    crate::pushes::another_tenants_pushes_are_out_of_reach,
    crate::sealing::no_secret_lies_open,
    crate::sealing::a_seal_opens_only_in_its_own_row,
    crate::policies::the_feed_hears_once_of_what_may_not_act,
    crate::service_clients::a_client_reads_back_with_its_digest_and_without_its_secret,
    crate::service_clients::a_secret_that_was_rotated_counts_for_a_day,
    crate::service_clients::a_client_that_was_removed_is_gone,
    crate::signing_keys::a_key_goes_through_its_states,
    crate::signing_keys::nodes_that_keep_a_ring_at_once_do_it_once,
    crate::signing_keys::a_step_that_does_not_fit_changes_nothing,
    crate::signing_keys::all_rings_are_read_in_pages,
    crate::signing_keys::a_policy_that_makes_no_sense_stops_no_other_tenant,
    crate::start::a_development_database_never_goes_live,
    crate::start::a_wrong_master_key_is_refused_and_named,
    crate::start::a_second_master_key_may_stand_beside,
    crate::start::administrators_may_write_before_the_first_start,
    crate::start::it_starts_once_and_stops,
    crate::start::whoever_keeps_a_connection_keeps_nobody_from_stopping,
    crate::start::broken_connections_are_replaced,
    crate::sweep::replaced_session_keys_are_forgotten,
    crate::sweep::old_changes_are_purged,
    crate::sweep::the_sweep_walks_many_sessions,
    crate::sweep::one_step_that_fails_keeps_no_other_from_its_work,
    crate::wechat_calls::what_two_nodes_called_is_one_sum,
    crate::wechat_calls::calls_are_kept_for_seven_days_and_go_with_their_app,
);

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_the_files_of_an_embedded_database() {
    use std::os::unix::fs::PermissionsExt;

    let database = support::TestDatabase::create(wxgate_storage::Engine::Sqlite).await.unwrap();
    let storage = database.started().await;
    support::tenant(&storage, "acme").await;
    let config = database.config();
    let file = config.url.file().unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(format!("{}{suffix}", file.display()).as_ref()), 0o600, "{suffix}");
    }
    storage.stop().await;
    // Whoever loosened them in between finds them closed again, and the log is empty after an orderly stop.
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let again = database.started().await;
    assert_eq!(mode(file), 0o600);
    again.stop().await;
    assert!(!std::path::Path::new(&format!("{}-wal", file.display())).exists());
}
