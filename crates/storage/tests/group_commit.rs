//! The group commit on real databases: bad rows, locks in the way, lost connections, stopping.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "group_commit/batches.rs"]
mod batches;
#[path = "support/logins.rs"]
mod logins;
#[path = "group_commit/network.rs"]
mod network;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::batches::a_bad_row_fails_only_its_own_caller,
    crate::batches::a_bad_row_beside_a_refresh_costs_it_no_turn,
    crate::batches::a_lock_in_the_way_is_waited_for,
    crate::batches::stopping_writes_what_is_queued,
    crate::batches::a_caller_that_leaves_cancels_nothing,
);

mod servers {
    mod postgres {
        crate::support::on_engine!(
            Postgres: batches::a_deadlock_is_tried_again,
            network::a_lost_answer_to_commit_is_looked_up,
            network::a_lost_commit_is_written_again,
            network::a_connection_that_breaks_before_is_replaced,
        );
    }
    mod mysql {
        crate::support::on_engine!(
            MySql: batches::a_deadlock_is_tried_again,
            network::a_lost_answer_to_commit_is_looked_up,
            network::a_lost_commit_is_written_again,
            network::a_connection_that_breaks_before_is_replaced,
        );
    }
}
