//! Writes a batch of refreshes and ends inside a transaction: lock, read, decide, write.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};
use uuid::Uuid;
use wxgate_domain::{
    EndReason, Event, Presenter, RevocationEffect, RevokedSubject, SessionId, SessionState, Standing, Timestamp,
};

use super::plan::{Change, Plan, Row};
use super::statements::{Statements, UPDATE_CONTESTED};
use crate::error::StorageError;
use crate::packed;
use crate::repo::phones::SealedPhone;
use crate::repo::revocations::NewRevocation;
use crate::repo::{ascii, parsed, unsigned};
use crate::sessions::{Answer, Job, News};
use crate::sql::{LARGEST, Sized, filled_up, get, id, number, statement, time};
use crate::storage::Core;

/// Writes refreshes and ends.
pub(crate) struct Turns {
    backend: DbBackend,
    statements: Statements,
}

impl Turns {
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { backend, statements: Statements::new(backend) }
    }

    /// The answers to the jobs of this kind, each with the job's place in the batch. What to tell of sessions that ended is
    /// added to `news`.
    pub(crate) async fn write(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[Job],
        core: &Core,
        news: &mut News,
    ) -> Result<Vec<(usize, Answer)>, StorageError> {
        let mut plan = self.read(tx, jobs, core).await?;
        let decide = |(index, job): (usize, &Job)| match job {
            Job::Open(_) => None,
            Job::Refresh(job) => Some((index, Answer::Refreshed(plan.refresh(job)))),
            Job::End(job) => Some((index, Answer::Ended(plan.end(job)))),
        };
        let answers = jobs.iter().enumerate().filter_map(decide).collect();
        self.move_on(tx, &plan).await?;
        self.end(tx, &plan).await?;
        tell(&plan, news);
        Ok(answers)
    }

    async fn read(&self, tx: &DatabaseTransaction, jobs: &[Job], core: &Core) -> Result<Plan, StorageError> {
        let mut sessions = BTreeSet::new();
        let mut now = Timestamp::from_millis(0);
        for job in jobs {
            match job {
                Job::Open(_) => {}
                Job::Refresh(job) => {
                    sessions.insert(job.session());
                    now = now.max(job.now);
                }
                Job::End(job) => {
                    sessions.extend(job.sessions.iter().copied());
                    now = now.max(job.now);
                }
            }
        }
        let keys = || sessions.iter().map(|session| [id(session.uuid())]);
        let told = self.lock(tx, keys()).await?;
        let mut plan = Plan { sessions: BTreeMap::new(), now: told.map_or(now, |told| core.clock.or_told(told)) };
        let keep = |row: packed::Row<'_>| {
            let (session, row) = row_of(&row)?;
            plan.sessions.insert(session, row);
            Ok(())
        };
        self.statements.read_sessions.read(tx, keys(), keep).await?;
        Ok(plan)
    }

    /// Locks the sessions, and keeps their apps and tenants from changing until the commit; the server's time then. On
    /// SQLite the transaction holds the one write lock already, and the process's clock is the database's.
    async fn lock(
        &self,
        tx: &DatabaseTransaction,
        keys: impl Iterator<Item = [Value; 1]> + Send,
    ) -> Result<Option<Timestamp>, StorageError> {
        let (Some(lock_sessions), Some(hold_apps)) = (&self.statements.lock_sessions, &self.statements.hold_apps)
        else {
            return Ok(None);
        };
        let mut told = None;
        let mut apps = BTreeSet::new();
        for row in lock_sessions.read(tx, keys).await? {
            told = told.max(Some(Timestamp::from_millis(get(&row, 0)?)));
            apps.insert(get::<Uuid>(&row, 1)?);
        }
        if !apps.is_empty() {
            hold_apps.read(tx, apps.into_iter().map(|app| [id(app)])).await?;
        }
        Ok(told)
    }

    async fn move_on(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        // Most sessions of a batch move on alike, so most batches are one statement.
        let mut alike: BTreeMap<(u32, Timestamp, u32), Vec<[Value; 2]>> = BTreeMap::new();
        for (session, row) in plan.sessions.iter().filter(|(_, row)| row.change.turns > 0) {
            let presenter = row.state.presenter.map(|presenter| presenter.to_bytes().to_vec());
            let turn = [id(session.uuid()), Value::Bytes(presenter)];
            alike.entry((row.change.turns, row.access_until, row.mac_key)).or_default().push(turn);
        }
        for ((turns, access_until, mac_key), sessions) in alike {
            for (size, pairs) in filled_up(sessions.into_iter(), self.statements.most_turns()) {
                let mut values = vec![number(turns), time(plan.now), time(access_until), number(mac_key)];
                let ids = self.statements.repeats_ids.then(|| pairs.iter().step_by(2).cloned().collect::<Vec<_>>());
                values.extend(pairs);
                values.extend(ids.unwrap_or_default());
                tx.execute_raw(self.statements.move_on.with(size, values)).await?;
            }
        }
        for (session, row) in plan.sessions.iter().filter(|(_, row)| row.change.contested) {
            let turn = row.state.contested_generation.map_or(0, |turn| turn);
            let values = vec![number(row.state.contested), number(turn), id(session.uuid())];
            tx.execute_raw(statement(self.backend, UPDATE_CONTESTED, values)).await?;
        }
        Ok(())
    }

    async fn end(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        let mut by_reason: BTreeMap<&str, Vec<[Value; 1]>> = BTreeMap::new();
        for (session, row) in plan.sessions.iter().filter(|(_, row)| row.change.ended) {
            if let Some(reason) = row.state.ended {
                by_reason.entry(reason.as_str()).or_default().push([id(session.uuid())]);
            }
        }
        for (reason, sessions) in by_reason {
            update(tx, &self.statements.end, &[time(plan.now), reason.into()], sessions).await?;
        }
        Ok(())
    }
}

/// Sets the same on many rows.
async fn update(
    tx: &DatabaseTransaction,
    statement: &Sized,
    set: &[Value],
    ids: Vec<[Value; 1]>,
) -> Result<(), StorageError> {
    for (size, ids) in filled_up(ids.into_iter(), LARGEST) {
        tx.execute_raw(statement.with(size, [set, &ids].concat())).await?;
    }
    Ok(())
}

/// Which sessions ended; the feeds hear of those whose access tokens have not.
fn tell(plan: &Plan, news: &mut News) {
    for (session, row) in plan.sessions.iter().filter(|(_, row)| row.change.ended) {
        if row.access_until > plan.now {
            let ended = NewRevocation {
                subject: RevokedSubject::Session(*session),
                effect: RevocationEffect::Ended,
                expires: Some(row.access_until),
            };
            news.feed(row.tenant, [ended]);
        }
        if let Some(reason) = row.state.ended {
            news.tell(row.tenant, || Event::SessionEnded { session: *session, user: row.user, reason });
        }
    }
}

fn row_of(row: &packed::Row<'_>) -> Result<(SessionId, Row), StorageError> {
    let unionid: Option<Vec<u8>> = get(row, 14)?;
    let ended: Option<String> = get(row, 8)?;
    let ended = ended.map(|word| EndReason::from_word(&word).unwrap_or(EndReason::Swept));
    let presenter: Option<Vec<u8>> = get(row, 10)?;
    let contested: Option<i32> = get(row, 11)?;
    let state = SessionState {
        generation: unsigned(get(row, 4)?, "session", "generation")?,
        opened_at: Timestamp::from_millis(get(row, 6)?),
        refreshed_at: get::<Option<i64>>(row, 7)?.map(Timestamp::from_millis),
        ended,
        standing: standing(get(row, 22)?)?,
        presenter: presenter.and_then(|presenter| Presenter::from_bytes(&presenter)),
        contested_generation: contested.map(|turn| unsigned(turn, "session", "contested_generation")).transpose()?,
        contested: unsigned(get(row, 12)?, "session", "contested")?,
    };
    let read = Row {
        tenant: get::<Uuid>(row, 1)?.into(),
        app: get::<Uuid>(row, 2)?.into(),
        user: get::<Uuid>(row, 3)?.into(),
        openid: ascii(get(row, 13)?, "identity", "openid")?,
        unionid: unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?,
        external_id: parsed(get(row, 15)?, "user", "external_id")?,
        phone: SealedPhone::read(row, 16)?,
        mac_key: unsigned(get(row, 5)?, "session", "mac_key")?,
        access_until: Timestamp::from_millis(get(row, 9)?),
        state,
        change: Change::default(),
    };
    Ok((get::<Uuid>(row, 0)?.into(), read))
}

fn standing(number: i32) -> Result<Standing, StorageError> {
    match number {
        0 => Ok(Standing::Good),
        1 => Ok(Standing::UserBlocked),
        2 => Ok(Standing::AppDisabled),
        3 => Ok(Standing::Swept),
        _ => Err(StorageError::inconsistent("session", "standing")),
    }
}
