//! Work that outlives its request: done in small pieces, by whichever node has it, and gone on with after a crash.

use serde::{Deserialize, Serialize};

use crate::ids::{AppId, JobId, Slug, TenantId, UnionGroupId, WechatAppid};
use crate::time::Timestamp;

/// A piece of work that goes on in the background.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Our id.
    pub id: JobId,
    /// The tenant that it belongs to; `None` is the operators'.
    pub tenant: Option<TenantId>,
    /// What is to be done.
    pub task: Task,
    /// Whether it is over.
    pub state: JobState,
    /// How much is done, of [`Job::total`].
    pub done: u64,
    /// How much there is to do, as far as anybody has looked.
    pub total: u64,
    /// Why it did not get on the last time; it is tried again.
    pub error: Option<String>,
    /// When it goes on, if it rests.
    pub rests_until: Option<Timestamp>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last got on.
    pub updated_at: Timestamp,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// Removes every row of a tenant, whose keys are gone already. It is the operators', for it outlives the tenant.
    TenantDeletion {
        /// Which tenant.
        tenant: TenantId,
        /// What it was called.
        slug: Slug,
    },
    /// Removes the accounts of an app that serves nothing any more, and then the app.
    AppRemoval {
        /// Which app.
        app: AppId,
        /// What WeChat calls it.
        appid: WechatAppid,
    },
    /// Seals under the active master key what another one seals.
    Rewrap {},
    /// Seals under a tenant's newest key what older ones sealed, and removes those.
    Reseal {},
    /// Digests by a tenant's newest key the phone numbers that older ones digested, and removes those.
    Redigest {},
    /// Has whoever an app knows by a unionid found by it in a union group, and binds the app to it.
    UnionJoin {
        /// Which app.
        app: AppId,
        /// Which group.
        group: UnionGroupId,
    },
}

impl Task {
    /// The name of its kind, in storage and on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TenantDeletion { .. } => "tenant_deletion",
            Self::AppRemoval { .. } => "app_removal",
            Self::Rewrap {} => "rewrap",
            Self::Reseal {} => "reseal",
            Self::Redigest {} => "redigest",
            Self::UnionJoin { .. } => "union_join",
        }
    }
}

/// Whether a job is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// There is something left to do.
    Open,
    /// Nothing is left to do.
    Done,
}

impl JobState {
    /// The word in storage and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
        }
    }

    /// The state of a stored word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Done].into_iter().find(|state| state.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_on_the_wire_is_the_kind_in_storage() {
        let tenant = TenantId::from(uuid::Uuid::nil());
        let deletion = Task::TenantDeletion { tenant, slug: "acme".parse().unwrap() };
        let nobody = uuid::Uuid::nil();
        let join = Task::UnionJoin { app: nobody.into(), group: nobody.into() };
        let removal = Task::AppRemoval { app: nobody.into(), appid: "wx1".parse().unwrap() };
        for task in [deletion, removal, Task::Rewrap {}, Task::Reseal {}, Task::Redigest {}, join] {
            let json = serde_json::to_value(&task).unwrap();
            assert_eq!(json["kind"], task.kind());
            assert_eq!(serde_json::from_value::<Task>(json).unwrap(), task);
        }
    }
}
