//! Bringing users in from elsewhere.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wxgate_domain::{AdminScope, Slug};

use super::{Method, Operation, Route, Visitor};
use crate::service::admin::{Admin, AdminError, ForeignUser, RowError};

/// Every operation of this file.
pub(super) fn all(visitor: &mut impl Visitor) {
    visitor.visit::<ImportUsers>();
}

/// Users of another system, at most a thousand. The same rows again change nothing, and what is missing is filled in. A row
/// that does not fit is left out and told of; it does not stop the others.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportUsers {
    /// The tenant's slug or id. Left out: the key's own; with an operator's key the one that has the mini-program of each row.
    #[schema(value_type = Option<String>)]
    pub(crate) tenant: Option<Slug>,
    /// One for each user in each mini-program.
    #[schema(max_items = 1000)]
    pub(crate) rows: Vec<ImportRow>,
}

/// A user in one mini-program, as another system has them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportRow {
    /// The mini-program.
    pub(crate) appid: String,
    /// The user inside it.
    pub(crate) openid: String,
    /// The user inside the Open Platform account. Rows with the same one are the same user, if their mini-programs are in one
    /// union group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unionid: Option<String>,
    /// What the other system calls the user. Rows with the same one are the same user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) external_id: Option<String>,
    /// As the user called themself there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nickname: Option<String>,
}

/// What became of the rows.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ImportReply {
    /// Users who were not there.
    pub(crate) created: usize,
    /// Rows that told something new of a user who was there: another mini-program, a unionid, an external id, a nickname.
    pub(crate) changed: usize,
    /// Rows of which everything was there.
    pub(crate) unchanged: usize,
    /// Rows that were left out.
    pub(crate) errors: Vec<ImportRowError>,
}

/// Why a row was left out.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ImportRowError {
    /// Its place among the rows, from 0.
    pub(crate) row: usize,
    /// `malformed`, `app_unknown`, `other_unionid`, `unionid_taken`, `other_external_id`, `external_id_taken` or `erased`.
    pub(crate) code: String,
    /// In words.
    pub(crate) detail: String,
}

impl Operation for ImportUsers {
    type Reply = ImportReply;
    const ROUTE: Route = Route {
        id: "importUsers",
        method: Method::Post,
        path: "/users/import",
        scope: AdminScope::Write,
        summary: "Bring users of another system in.",
    };

    /// A thousand rows.
    const MAX_BODY: usize = 1024 * 1024;

    async fn run(self, admin: &Admin) -> Result<Self::Reply, AdminError> {
        let within = admin.within(self.tenant.as_ref()).await?;
        let rows = self.rows.into_iter().map(|row| ForeignUser {
            appid: row.appid,
            openid: row.openid,
            unionid: row.unionid,
            external_id: row.external_id,
            nickname: row.nickname,
        });
        let imported = admin.import_users(within, rows.collect()).await?;
        let error = |(row, error): (usize, RowError)| ImportRowError {
            row,
            code: error.code().to_owned(),
            detail: error.to_string(),
        };
        Ok(ImportReply {
            created: imported.created,
            changed: imported.changed,
            unchanged: imported.unchanged,
            errors: imported.errors.into_iter().map(error).collect(),
        })
    }
}
