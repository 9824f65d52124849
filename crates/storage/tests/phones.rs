//! Phone numbers and phone codes, on every engine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "phones/binding.rs"]
mod binding;
#[path = "phones/codes.rs"]
mod codes;
#[path = "phones/keys.rs"]
mod keys;
#[path = "phones/moving.rs"]
mod moving;

#[path = "support/logins.rs"]
mod logins;
#[path = "support/harness.rs"]
mod support;

support::on_every_engine!(
    crate::binding::a_number_belongs_to_one_user_of_a_tenant,
    crate::binding::a_session_tells_its_users_number,
    crate::binding::nothing_is_found_by_a_number_that_is_not_verified,
    crate::binding::a_number_that_two_want_at_once_goes_to_one,
    crate::binding::an_erased_user_takes_the_number_along,
    crate::binding::another_tenant_neither_finds_nor_takes_a_number,
    crate::codes::a_code_is_exchanged_once_and_for_one_openid,
    crate::codes::a_code_that_came_to_nothing,
    crate::codes::budgets_are_of_a_day_in_beijing,
    crate::codes::phone_data_has_budgets_of_its_own,
    crate::codes::one_code_sent_twice_at_once_is_claimed_once,
    crate::codes::what_is_over_is_forgotten,
    crate::keys::numbers_are_found_after_their_digest_key_was_rotated,
    crate::keys::numbers_are_sealed_anew,
    crate::moving::a_number_moves_after_its_waiting_period,
    crate::moving::whoever_has_a_number_still_keeps_it,
    crate::moving::a_number_is_handed_over_in_a_merge,
);

use wxgate_domain::{PhoneNumber, UserId};
use wxgate_storage::{Binding, NewPhone, Storage, StorageError};

/// A number of Beijing.
fn number(national: &str) -> PhoneNumber {
    PhoneNumber::new("86", national).unwrap()
}

/// A number that WeChat vouches for, and that may take no other's place.
fn verified(number: &PhoneNumber) -> NewPhone<'_> {
    NewPhone { number, is_verified: true, may_replace: false, leaves_after: None }
}

/// Binds a number, as often as it takes.
async fn bind(
    storage: &Storage,
    place: &logins::Place,
    user: UserId,
    new: &NewPhone<'_>,
) -> Result<Binding, StorageError> {
    loop {
        let tx = storage.begin().await?;
        match tx.tenant(place.tenant.id).phones().bind(user, new).await {
            Err(StorageError::Busy) => {}
            Err(error) => return Err(error),
            Ok(binding) => match tx.commit().await {
                Err(StorageError::Busy) => {}
                committed => return committed.map(|()| binding),
            },
        }
    }
}

/// A tenant with an app.
async fn place(storage: &Storage, slug: &str) -> logins::Place {
    let tenant = support::tenant(storage, slug).await;
    let app = support::app(storage, &tenant, &format!("wx-{slug}")).await;
    logins::Place { tenant, app }
}
