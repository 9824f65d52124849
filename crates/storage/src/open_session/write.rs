//! Writes a batch of logins inside a transaction: read, decide, write.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Value};
use uuid::Uuid;
use wxgate_crypto::Digest;
use wxgate_domain::{EndReason, Event, UserId};

use super::plan::{Change, Identity, Member, Opened, Plan};
use super::read::user_of;
use super::statements::{AFTER_PHONE, AFTER_USER, Statements};
use super::{OpenJob, UserBlocked};
use crate::error::StorageError;
use crate::packed;
use crate::repo::merge_candidates::{self, Found};
use crate::repo::phones::SealedPhone;
use crate::repo::{ascii, sessions};
use crate::sessions::News;
use crate::sql::{bytes, chunks, get, id, number, time};
use crate::storage::Core;

/// Writes logins.
pub(crate) struct Openings {
    statements: Statements,
}

impl Openings {
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { statements: Statements::new(backend) }
    }

    /// The outcomes are in the order of the jobs. What to tell of new users and of sessions that gave way is added to
    /// `news`.
    pub(crate) async fn write(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[&OpenJob],
        core: &Core,
        news: &mut News,
    ) -> Result<Vec<Result<Opened, UserBlocked>>, StorageError> {
        let mut plan = Plan::default();
        self.read_identities(tx, jobs, &mut plan).await?;
        self.read_members(tx, jobs, &mut plan).await?;
        self.read_tombstones(tx, jobs, &mut plan).await?;
        let dangling = || StorageError::inconsistent("identity", "user_id");
        let answers = plan.decide(jobs, &core.random).ok_or_else(dangling)?;
        self.write_users(tx, &plan).await?;
        self.write_identities(tx, &plan).await?;
        self.write_sessions(tx, jobs, &plan).await.map_err(|missing| missing.unwrap_or_else(dangling))?;
        let proofs = jobs.iter().filter(|job| job.is_proof).map(|job| id(job.session.uuid())).collect();
        sessions::write_end(tx, proofs, EndReason::Proof, core.clock.now()).await?;
        tell_candidates(tx, &plan, core, news).await?;
        for ((tenant, identity), keep) in &plan.crowded {
            let ended = sessions::end_oldest(tx, *tenant, *identity, *keep, core.clock.now()).await?;
            if let Some(known) = plan.identities.values().find(|known| known.id == *identity) {
                for event in ended.events(known.user, EndReason::Crowded) {
                    news.tell(*tenant, || event);
                }
            }
            news.feed(*tenant, ended.news);
        }
        tell_of_users(jobs, &answers, news);
        Ok(answers)
    }

    async fn read_identities(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[&OpenJob],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = jobs.iter().map(|job| (job.tenant, job.app, &job.openid)).collect();
        let keys = keys
            .into_iter()
            .map(|(tenant, app, openid)| [id(tenant.uuid()), id(app.uuid()), bytes(openid.as_str().as_bytes())]);
        let keep = |row: packed::Row<'_>| {
            let user = user_of(&row)?;
            let (tenant, app): (Uuid, Uuid) = (get(&row, AFTER_PHONE)?, get(&row, AFTER_PHONE + 1)?);
            let openid = ascii(get(&row, AFTER_PHONE + 2)?, "identity", "openid")?;
            let unionid: Option<Vec<u8>> = get(&row, AFTER_PHONE + 4)?;
            let unionid = unionid.map(|unionid| ascii(unionid, "identity", "unionid")).transpose()?;
            let sessions = u32::try_from(get::<i64>(&row, AFTER_PHONE + 5)?).unwrap_or(u32::MAX);
            let identity =
                Identity { id: get(&row, AFTER_PHONE + 3)?, user: user.id, unionid, sessions, change: Change::None };
            plan.identities.insert((tenant.into(), app.into(), openid), identity);
            plan.phones.extend(SealedPhone::read(&row, AFTER_USER)?.map(|phone| (user.id, phone)));
            plan.users.insert(user.id, user);
            Ok(())
        };
        self.statements.read_identities.read(tx, keys, keep).await
    }

    async fn read_members(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[&OpenJob],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        let keys: BTreeSet<_> = jobs.iter().filter_map(|job| plan.member_in_question(job)).collect();
        let keys = keys
            .iter()
            .map(|(tenant, group, unionid)| [id(tenant.uuid()), id(group.uuid()), bytes(unionid.as_str().as_bytes())]);
        let mut users: BTreeSet<_> = jobs.iter().filter_map(|job| job.link_to).collect();
        for row in self.statements.lock_members.read(tx, keys).await? {
            let (tenant, group): (Uuid, Uuid) = (get(&row, 0)?, get(&row, 1)?);
            let unionid = ascii(get(&row, 2)?, "union_member", "unionid")?;
            let user = UserId::from(get::<Uuid>(&row, 3)?);
            plan.members.insert((tenant.into(), group.into(), unionid), Member { user, added: None });
            users.insert(user);
        }
        let users = users.into_iter().map(|user| [id(user.uuid())]);
        for row in self.statements.read_users.read(tx, users).await? {
            let user = user_of(&row)?;
            plan.phones.extend(SealedPhone::read(&row, AFTER_USER)?.map(|phone| (user.id, phone)));
            plan.users.insert(user.id, user);
        }
        Ok(())
    }

    /// Only of identities that are new, or come with another unionid: any other login pays nothing for it.
    async fn read_tombstones(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[&OpenJob],
        plan: &mut Plan,
    ) -> Result<(), StorageError> {
        // One person's logins through several apps have one unionid, and so one digest.
        let mut new: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for job in jobs {
            let key = job.identity_key();
            if plan.is_as_known(job) {
                continue;
            }
            for digest in job.digests(plan.identities.contains_key(&key)) {
                new.entry((job.tenant, *digest.as_bytes())).or_default().push(key.clone());
            }
        }
        let keys = new.keys().map(|(tenant, digest)| [id(tenant.uuid()), bytes(digest)]);
        for row in self.statements.read_bans.read(tx, keys).await? {
            let digest: Vec<u8> = get(&row, 1)?;
            let digest =
                Digest::from_slice(&digest).ok_or_else(|| StorageError::inconsistent("tombstone", "digest"))?;
            let identities = new.get(&(get::<Uuid>(&row, 0)?.into(), *digest.as_bytes()));
            plan.banned.extend(identities.into_iter().flatten().cloned());
        }
        Ok(())
    }

    async fn write_users(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        let users = plan.new_users.iter().filter_map(|(tenant, user)| Some((tenant, plan.users.get(user)?)));
        let users = users.map(|(tenant, user)| {
            let status = user.status.as_str().into();
            [id(user.id.uuid()), id(tenant.uuid()), status, number(user.sessions_epoch), time(user.created_at)]
        });
        self.statements.insert_users.insert(tx, users).await?;
        let added = plan.members.iter().filter_map(|(key, member)| Some((key, member.user, member.added?)));
        let added = added.map(|((tenant, group, unionid), user, at)| {
            [id(tenant.uuid()), id(group.uuid()), bytes(unionid.as_str().as_bytes()), id(user.uuid()), time(at)]
        });
        self.statements.insert_members.insert(tx, added).await
    }

    async fn write_identities(&self, tx: &DatabaseTransaction, plan: &Plan) -> Result<(), StorageError> {
        let mut new = Vec::new();
        let mut changed = Vec::new();
        for ((tenant, app, openid), identity) in &plan.identities {
            let unionid = Value::Bytes(identity.unionid.as_ref().map(|unionid| unionid.as_str().into()));
            match identity.change {
                Change::None => {}
                Change::Unionid => changed.push([id(identity.id), unionid]),
                Change::New(at) => new.push([
                    id(identity.id),
                    id(tenant.uuid()),
                    id(app.uuid()),
                    bytes(openid.as_str().as_bytes()),
                    unionid,
                    id(identity.user.uuid()),
                    time(at),
                ]),
            }
        }
        self.statements.insert_identities.insert(tx, new.into_iter()).await?;
        for (rows, mut values) in chunks(changed.into_iter()) {
            let ids: Vec<_> = values.iter().step_by(2).cloned().collect();
            values.extend(ids);
            tx.execute_raw(self.statements.update_unionids.with(rows, values)).await?;
        }
        Ok(())
    }

    /// The error is `None` if the plan names a job or user that it does not know.
    async fn write_sessions(
        &self,
        tx: &DatabaseTransaction,
        jobs: &[&OpenJob],
        plan: &Plan,
    ) -> Result<(), Option<StorageError>> {
        let mut rows = Vec::with_capacity(plan.sessions.len());
        for (job, identity, user) in &plan.sessions {
            let job = jobs.get(*job).ok_or(None)?;
            let user = plan.users.get(user).ok_or(None)?;
            rows.push([
                id(job.session.uuid()),
                id(job.tenant.uuid()),
                id(*identity),
                id(job.app.uuid()),
                Value::Bytes(Some(job.session_key.as_bytes().to_vec())),
                number(job.mac_key),
                number(job.tenant_epoch),
                number(job.app_epoch),
                number(user.sessions_epoch),
                time(job.now),
                time(job.access_until),
            ]);
        }
        self.statements.insert_sessions.insert(tx, rows.into_iter()).await.map_err(Some)
    }
}

/// Who is new.
fn tell_of_users(jobs: &[&OpenJob], answers: &[Result<Opened, UserBlocked>], news: &mut News) {
    for (job, answer) in jobs.iter().zip(answers) {
        if let (Some(appid), Ok((opened, _))) = (&job.appid, answer)
            && opened.is_new
        {
            news.tell(job.tenant, || Event::UserCreated { user: opened.user.id, appid: appid.clone() });
        }
    }
}

/// Notes who may be one person, and tells the services. Most batches find nobody.
async fn tell_candidates(
    tx: &DatabaseTransaction,
    plan: &Plan,
    core: &Core,
    news: &mut News,
) -> Result<(), StorageError> {
    for found in merge_candidates::note(tx, &plan.candidates, &core.random).await? {
        let Found { tenant, user, other, cause, .. } = found;
        news.tell(tenant, || Event::MergeCandidate { user, other, cause });
    }
    Ok(())
}
