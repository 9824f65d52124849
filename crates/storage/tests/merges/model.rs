//! Any order of logins, merges, undoings, blocks and erasures, against a model that fits a screen.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use wxgate_domain::{UserId, UserStatus};
use wxgate_storage::{Merge, OpenSessionError, Storage};

use crate::couple::{House, house};
use crate::support::TestDatabase;

const ACCOUNTS: usize = 4;
const RUNS: usize = 24;
const MOVES: usize = 24;

/// What may happen, by the numbers of accounts and merges.
#[derive(Clone, Copy, Debug)]
enum Move {
    Login(usize),
    Merge(usize, usize),
    Undo(usize),
    Block(usize),
    Unblock(usize),
    Erase(usize),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let account = 0..ACCOUNTS;
    let one = prop_oneof![
        4 => account.clone().prop_map(Move::Login),
        4 => (account.clone(), account.clone()).prop_map(|(one, other)| Move::Merge(one, other)),
        3 => any::<usize>().prop_map(Move::Undo),
        1 => account.clone().prop_map(Move::Block),
        1 => account.clone().prop_map(Move::Unblock),
        1 => account.prop_map(Move::Erase),
    ];
    prop::collection::vec(one, MOVES)
}

/// A merge that stands: what it moved, and whom it leads to.
struct Standing {
    merge: Merge,
    heir: UserId,
    accounts: Vec<usize>,
    earlier: Vec<usize>,
}

/// Who has which account, who is blocked, and which merges stand.
#[derive(Default)]
struct Model {
    owner: BTreeMap<usize, UserId>,
    blocked: BTreeMap<UserId, bool>,
    /// Accounts of people who were erased while they were blocked.
    banned: Vec<usize>,
    merges: BTreeMap<usize, Standing>,
    count: usize,
}

impl Model {
    fn is_blocked(&self, user: UserId) -> bool {
        self.blocked.get(&user).copied().unwrap_or(false)
    }

    fn of(&self, user: UserId) -> Vec<usize> {
        self.owner.iter().filter(|(_, owner)| **owner == user).map(|(account, _)| *account).collect()
    }

    async fn play(&mut self, storage: &Storage, house: &House, run: usize, step: Move) {
        match step {
            Move::Login(account) => self.login(storage, house, run, account).await,
            Move::Merge(one, other) => self.merge(storage, house, one, other).await,
            Move::Undo(number) => self.undo(storage, house, number).await,
            Move::Block(account) | Move::Unblock(account) => {
                let Some(user) = self.owner.get(&account).copied() else { return };
                let blocks = matches!(step, Move::Block(_));
                let status = if blocks { UserStatus::Blocked } else { UserStatus::Active };
                house.set_status(storage, user, status).await.unwrap();
                self.blocked.insert(user, blocks);
            }
            Move::Erase(account) => {
                let Some(user) = self.owner.get(&account).copied() else { return };
                house.erase(storage, user).await.unwrap();
                for account in self.of(user) {
                    self.owner.remove(&account);
                    if self.is_blocked(user) {
                        self.banned.push(account);
                    }
                }
                self.merges.retain(|_, standing| standing.heir != user);
            }
        }
    }

    async fn login(&mut self, storage: &Storage, house: &House, run: usize, account: usize) {
        let login = house.alone.try_login(storage, &format!("o{run}-{account}"), None).await;
        match self.owner.get(&account) {
            Some(user) if self.is_blocked(*user) => assert_eq!(login, Err(OpenSessionError::UserBlocked)),
            Some(user) => assert_eq!(login.unwrap().user.id, *user),
            None if self.banned.contains(&account) => assert_eq!(login, Err(OpenSessionError::UserBlocked)),
            None => {
                let login = login.unwrap();
                assert!(login.is_new);
                self.owner.insert(account, login.user.id);
            }
        }
    }

    async fn merge(&mut self, storage: &Storage, house: &House, one: usize, other: usize) {
        let (Some(gone), Some(into)) = (self.owner.get(&one).copied(), self.owner.get(&other).copied()) else { return };
        let merged = house.merge(storage, gone, into).await;
        if gone == into || self.is_blocked(gone) || self.is_blocked(into) {
            assert!(merged.is_err());
            return;
        }
        let accounts = self.of(gone);
        let earlier: Vec<_> = self.merges.iter().filter(|(_, it)| it.heir == gone).map(|(number, _)| *number).collect();
        for account in &accounts {
            self.owner.insert(*account, into);
        }
        for number in &earlier {
            self.merges.get_mut(number).unwrap().heir = into;
        }
        let standing = Standing { merge: merged.unwrap(), heir: into, accounts, earlier };
        self.merges.insert(self.count, standing);
        self.count += 1;
    }

    async fn undo(&mut self, storage: &Storage, house: &House, number: usize) {
        let numbers: Vec<_> = self.merges.keys().copied().collect();
        let Some(number) = numbers.get(number % numbers.len().max(1)) else { return };
        let Standing { merge, heir, accounts, earlier } = self.merges.remove(number).unwrap();
        let parted = house.undo(storage, &merge, None).await.unwrap();
        assert_eq!((parted.user, parted.from), (merge.gone, heir));
        for account in accounts {
            if self.owner.get(&account) == Some(&heir) {
                self.owner.insert(account, merge.gone);
            }
        }
        for number in earlier {
            if let Some(standing) = self.merges.get_mut(&number)
                && standing.heir == heir
            {
                standing.heir = merge.gone;
            }
        }
        self.blocked.insert(merge.gone, self.is_blocked(heir));
    }

    /// What is stored is what the model says.
    async fn holds(&self, storage: &Storage, house: &House, run: usize) {
        let users = storage.tenant(house.alone.tenant.id).users();
        let appid = &house.alone.app.appid;
        for account in 0..ACCOUNTS {
            let openid = format!("o{run}-{account}").parse().unwrap();
            let found = users.of_openid(appid, &openid).await.unwrap();
            assert_eq!(found.as_ref().map(|user| user.id), self.owner.get(&account).copied());
            if let Some(user) = found {
                assert_eq!(user.status == UserStatus::Blocked, self.is_blocked(user.id));
            }
        }
        for standing in self.merges.values() {
            assert_eq!(house.user(storage, standing.merge.gone).await.unwrap().id, standing.heir);
        }
    }
}

pub(crate) async fn any_order_of_moves_leaves_each_account_with_its_user(database: TestDatabase) {
    let storage = database.started().await;
    let house = house(&storage, "acme").await;
    let mut runner = TestRunner::deterministic();
    for run in 0..RUNS {
        let moves = moves().new_tree(&mut runner).unwrap().current();
        let mut model = Model::default();
        for step in &moves {
            model.play(&storage, &house, run, *step).await;
            model.holds(&storage, &house, run).await;
        }
    }
    storage.stop().await;
}
