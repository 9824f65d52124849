//! Transactions that another one was in the way of, done again.

use wxgate_storage::{NotMerged, NotUnmerged, StorageError};

/// How often one is tried.
const ATTEMPTS: u32 = 8;

/// Why a transaction was not done.
pub(crate) trait NotDone {
    /// Whether another one was in the way: nothing was written, and it may be done again.
    fn is_busy(&self) -> bool;
}

impl NotDone for StorageError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy)
    }
}

impl NotDone for NotMerged {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Busy))
    }
}

impl NotDone for NotUnmerged {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Busy))
    }
}

/// What was tried already.
#[derive(Debug, Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Counts one that failed; whether there is another.
    pub(crate) fn are_left(&mut self) -> bool {
        self.0 += 1;
        self.0 < ATTEMPTS
    }
}

/// Does a transaction, from its beginning, until no other one is in the way. It is an expression that makes the same future
/// each time; not a closure, whose futures could not move between threads.
macro_rules! again_if_busy {
    ($once:expr) => {
        $crate::service::again::again_while!($crate::service::again::NotDone::is_busy, $once)
    };
}

/// The same where more than [`StorageError::Busy`] says that another one was in the way.
macro_rules! again_while {
    ($is_in_the_way:expr, $once:expr) => {{
        let mut attempts = $crate::service::again::Attempts::default();
        loop {
            match $once.await {
                Err(error) if $is_in_the_way(&error) && attempts.are_left() => {}
                outcome => break outcome,
            }
        }
    }};
}

pub(crate) use {again_if_busy, again_while};

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_transaction_is_done_again_some_times_and_only_if_another_was_in_the_way() {
        let tried = Cell::new(0);
        let once = async |free: u32| {
            tried.set(tried.get() + 1);
            if tried.get() < free { Err(StorageError::Busy) } else { Ok(tried.get()) }
        };
        assert_eq!(again_if_busy!(once(3)), Ok(3));
        tried.set(0);
        assert_eq!(again_if_busy!(once(9)), Err(StorageError::Busy));
        assert_eq!(tried.get(), ATTEMPTS);
        let failed: Result<(), _> = again_if_busy!(std::future::ready(Err(StorageError::NotFound)));
        assert_eq!(failed, Err(StorageError::NotFound));
    }
}
