//! What a batch of refreshes and ends changes, decided in memory.
//!
//! The jobs are decided one after another, each against what the database said and what the jobs before it changed, so
//! fifty requests with one token in a batch come out as they would in fifty transactions.

use std::collections::BTreeMap;

use wxgate_domain::session::access_until;
use wxgate_domain::{
    AppId, Decision, EndReason, ExternalId, OpenId, Presented, RefreshedSession, Refusal, SessionId, SessionState,
    TenantId, Timestamp, UnionId, UserId,
};

use super::{NotRefreshed, RefreshJob};
use crate::end_sessions::EndJob;
use crate::repo::phones::SealedPhone;

/// A session that moved on, and the phone of its user, which is still sealed.
pub(crate) type Turned = (RefreshedSession, Option<SealedPhone>);

/// A session, as stored and as this batch changes it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) tenant: TenantId,
    pub(super) app: AppId,
    pub(super) user: UserId,
    pub(super) openid: OpenId,
    pub(super) unionid: Option<UnionId>,
    pub(super) external_id: Option<ExternalId>,
    pub(super) phone: Option<SealedPhone>,
    pub(super) mac_key: u32,
    pub(super) access_until: Timestamp,
    pub(super) state: SessionState,
    pub(super) change: Change,
}

/// What a batch does to a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// How many turns it moves on.
    pub(super) turns: u32,
    /// Whether a stranger repeated the present turn for the first time.
    pub(super) contested: bool,
    /// Whether it ends.
    pub(super) ended: bool,
}

/// What a batch knows and decides.
#[derive(Debug)]
pub(super) struct Plan {
    /// By id, so that rows are written in the order of their locks.
    pub(super) sessions: BTreeMap<SessionId, Row>,
    /// By the database's clock.
    pub(super) now: Timestamp,
}

impl Plan {
    /// Decides about one presented token.
    pub(super) fn refresh(&mut self, job: &RefreshJob) -> Result<Turned, NotRefreshed> {
        let now = self.now;
        let row = self.sessions.get_mut(&job.session).filter(|row| row.tenant == job.tenant);
        let row = row.ok_or(NotRefreshed::Unknown)?;
        if job.app.is_some_and(|app| app != row.app) {
            return Err(NotRefreshed::OtherApp);
        }
        let presented = Presented { generation: job.generation, presenter: job.presenter, now };
        let repeated = match row.state.decide(&presented, &job.policy) {
            Decision::Rotate(next) => {
                row.move_on(next, job, now);
                false
            }
            Decision::Repeat(_) => true,
            Decision::RepeatToStranger(turn, in_a_row) => {
                row.state.contested_generation = Some(turn);
                row.state.contested = in_a_row;
                row.change.contested = true;
                true
            }
            Decision::End(reason) => {
                row.end(reason);
                return Err(NotRefreshed::EndedNow(reason, job.session));
            }
            Decision::Refuse(Refusal::Ended(reason)) => return Err(NotRefreshed::Ended(reason)),
            Decision::Refuse(Refusal::UserBlocked) => return Err(NotRefreshed::UserBlocked),
            Decision::Refuse(Refusal::AppDisabled) => return Err(NotRefreshed::AppDisabled),
        };
        let last = row.state.refreshed_at.unwrap_or(row.state.opened_at);
        let session = RefreshedSession {
            id: job.session,
            app: row.app,
            user: row.user,
            openid: row.openid.clone(),
            unionid: row.unionid.clone(),
            external_id: row.external_id.clone(),
            phone: None,
            mac_key: row.mac_key,
            generation: row.state.generation,
            repeated,
            expires_at: SessionState::expires_at(row.state.opened_at, last, &job.policy),
        };
        Ok((session, row.phone.clone()))
    }

    /// Ends sessions; how many did.
    pub(super) fn end(&mut self, job: &EndJob) -> usize {
        let mut ended = 0;
        for session in &job.sessions {
            let row = self.sessions.get_mut(session);
            let row = row.filter(|row| row.tenant == job.tenant && job.user.is_none_or(|user| user == row.user));
            if let Some(row) = row
                && row.state.ended.is_none()
            {
                row.end(job.reason);
                ended += 1;
            }
        }
        ended
    }
}

impl Row {
    fn move_on(&mut self, next: u32, job: &RefreshJob, now: Timestamp) {
        self.change.turns += 1;
        self.state.generation = next;
        self.state.refreshed_at = Some(now);
        self.state.presenter = Some(job.presenter);
        self.mac_key = job.mac_key;
        // Never earlier: a policy that shortens lives does not shorten those of tokens that are out.
        self.access_until = self.access_until.max(access_until(now, &job.policy));
    }

    fn end(&mut self, reason: EndReason) {
        self.state.ended = Some(reason);
        self.change.ended = true;
    }
}
