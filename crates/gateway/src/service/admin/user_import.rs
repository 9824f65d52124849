//! Bringing users in from elsewhere: what a row must be, and one transaction for many of them.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use wxgate_domain::{App, MalformedId, Profile, TenantId, WechatAppid};
use wxgate_storage::{Import, Imported, NewUser, NotImported, StorageError};

use super::{Admin, AdminError, Event};
use crate::service::again::again_while;

/// Most rows at once.
pub(crate) const MOST_ROWS: usize = 1_000;

/// A row as it came.
#[derive(Debug)]
pub(crate) struct ForeignUser {
    pub(crate) appid: String,
    pub(crate) openid: String,
    pub(crate) unionid: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) nickname: Option<String>,
}

/// What became of many rows.
#[derive(Debug, Default)]
pub(crate) struct ImportedUsers {
    pub(crate) created: usize,
    pub(crate) changed: usize,
    pub(crate) unchanged: usize,
    /// Those that were left out, by their places.
    pub(crate) errors: Vec<(usize, RowError)>,
}

/// Why a row was left out. It repeats no value of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    #[error("{0} {1}")]
    Malformed(&'static str, MalformedId),
    #[error("nickname must be 1 to 64 characters without control characters")]
    Nickname,
    #[error("there is no such app, or it is another tenant's")]
    NoApp,
    #[error("{0}")]
    Refused(NotImported),
}

impl RowError {
    /// A word for scripts.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed(..) | Self::Nickname => "malformed",
            Self::NoApp => "app_unknown",
            Self::Refused(NotImported::OtherUnionid) => "other_unionid",
            Self::Refused(NotImported::UnionidTaken) => "unionid_taken",
            Self::Refused(NotImported::OtherExternalId) => "other_external_id",
            Self::Refused(NotImported::ExternalIdTaken) => "external_id_taken",
            Self::Refused(NotImported::Erased) => "erased",
        }
    }
}

impl Admin {
    /// Brings users of one tenant in, or of all: then their appids say whose they are, and each tenant's are a transaction
    /// of their own. At most [`MOST_ROWS`]. Nothing is written down of rows that change nothing.
    pub(crate) async fn import_users(
        &self,
        within: Option<TenantId>,
        rows: Vec<ForeignUser>,
    ) -> Result<ImportedUsers, AdminError> {
        if rows.len() > MOST_ROWS {
            return Err(AdminError::TooManyRows);
        }
        let apps = self.apps_of(within, &rows).await?;
        let mut imported = ImportedUsers::default();
        let mut of_tenants: BTreeMap<TenantId, (Vec<usize>, Vec<NewUser>)> = BTreeMap::new();
        for (place, row) in rows.into_iter().enumerate() {
            match row.checked(&apps) {
                Ok((tenant, user)) => {
                    let (places, users) = of_tenants.entry(tenant).or_default();
                    places.push(place);
                    users.push(user);
                }
                Err(error) => imported.errors.push((place, error)),
            }
        }
        for (tenant, (places, users)) in of_tenants {
            let outcome = self.write_import(tenant, &users).await?;
            for (place, row) in places.into_iter().zip(outcome.rows) {
                match row {
                    Ok(Imported::Created) => imported.created += 1,
                    Ok(Imported::Changed) => imported.changed += 1,
                    Ok(Imported::Unchanged) => imported.unchanged += 1,
                    Err(refused) => imported.errors.push((place, RowError::Refused(refused))),
                }
            }
        }
        imported.errors.sort_by_key(|(place, _)| *place);
        Ok(imported)
    }

    async fn apps_of(
        &self,
        within: Option<TenantId>,
        rows: &[ForeignUser],
    ) -> Result<HashMap<String, App>, AdminError> {
        let mut found = HashMap::new();
        let mut before = None;
        for row in rows.iter().filter(|row| row.appid.len() <= 64) {
            // Most rows name the app of the row before.
            if before == Some(&row.appid) || found.contains_key(&row.appid) {
                continue;
            }
            before = Some(&row.appid);
            let Ok(appid) = row.appid.parse::<WechatAppid>() else { continue };
            let app = match within {
                Some(tenant) => self.storage.tenant(tenant).apps().find(&appid).await?,
                None => self.storage.apps().find(&appid).await?.map(|stored| stored.app),
            };
            found.extend(app.map(|app| (row.appid.clone(), app)));
        }
        Ok(found)
    }

    async fn write_import(&self, tenant: TenantId, users: &[NewUser]) -> Result<Import, AdminError> {
        let is_in_the_way = |error: &AdminError| {
            use StorageError::{Busy, Dangling, NotUnique};
            matches!(error, AdminError::Storage(Busy | NotUnique { .. } | Dangling))
        };
        again_while!(is_in_the_way, self.try_to_import(tenant, users))
    }

    async fn try_to_import(&self, tenant: TenantId, users: &[NewUser]) -> Result<Import, AdminError> {
        let tx = self.storage.begin().await?;
        let imported = tx.tenant(tenant).users().import(users).await?;
        if imported.wrote {
            let written = imported.rows.iter().filter(|row| matches!(row, Ok(Imported::Created | Imported::Changed)));
            let event = Event::of(tenant, "user.import", format!("{} rows", written.count()));
            self.commit(tx, event).await?;
        }
        Ok(imported)
    }
}

impl ForeignUser {
    /// As a user of the tenant whose app it is.
    fn checked(self, apps: &HashMap<String, App>) -> Result<(TenantId, NewUser), RowError> {
        let _: WechatAppid = parsed("appid", &self.appid)?;
        let app = apps.get(&self.appid).ok_or(RowError::NoApp)?;
        let shown = Profile::asserted(filled(self.nickname.as_ref()), None).map_err(|_| RowError::Nickname)?;
        let user = NewUser {
            app: app.id,
            union_group: app.union_group,
            openid: parsed("openid", &self.openid)?,
            unionid: filled(self.unionid.as_ref()).map(|text| parsed("unionid", text)).transpose()?,
            external_id: filled(self.external_id.as_ref()).map(|text| parsed("external_id", text)).transpose()?,
            nickname: shown.nickname,
        };
        Ok((app.tenant, user))
    }
}

/// A cell of a table is often empty where there is nothing.
fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn parsed<T: FromStr<Err = MalformedId>>(name: &'static str, text: &str) -> Result<T, RowError> {
    text.parse().map_err(|malformed| RowError::Malformed(name, malformed))
}
