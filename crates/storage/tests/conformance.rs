//! One suite, all engines: what every engine must do alike.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "conformance/admin.rs"]
mod admin;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::admin::a_tenant_and_an_app_come_back_as_they_were_written
        as a_tenant_and_an_app_come_back_as_they_were_written,
);
