//! `wxgate user`: who is who, and who may not log in.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use wxgate_domain::{OpenId, Slug, Tenant, UnionId, User, UserId, UserStatus, WechatAppid};
use wxgate_storage::KnownIdentity;

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::service::admin::WhichUser;

/// Users: people inside a tenant.
#[derive(Debug, Args)]
pub(super) struct UserCommand {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Find a user by id, by openid inside a mini-program, or by unionid.
    #[command(
        after_help = "Examples:\n  wxgate user find --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045\n  wxgate user find --tenant acme --appid wx0123456789abcdef --openid oABC\n  wxgate user find --tenant acme --unionid uABC\n\nA unionid means something only inside an Open Platform account: it is looked for in the tenant's union groups."
    )]
    Find {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
        #[command(flatten)]
        which: Which,
    },
    /// Block a user: no login, no refresh, and tokens are refused where revocations are followed. All sessions end for
    /// good.
    #[command(after_help = "Example:\n  wxgate user block --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Block {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
        /// The user's id, which is `sub` of the access token.
        id: UserId,
    },
    /// Let a user log in again.
    #[command(after_help = "Example:\n  wxgate user unblock --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Unblock {
        /// The tenant.
        #[arg(long)]
        tenant: Slug,
        /// The user's id, which is `sub` of the access token.
        id: UserId,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "openid", "unionid"]))]
struct Which {
    /// The user's id, which is `sub` of the access token.
    id: Option<UserId>,
    /// The mini-program that knows the openid.
    #[arg(long, requires = "openid", conflicts_with_all = ["id", "unionid"])]
    appid: Option<WechatAppid>,
    /// The user inside that mini-program.
    #[arg(long, requires = "appid", allow_hyphen_values = true)]
    openid: Option<OpenId>,
    /// The user inside an Open Platform account.
    #[arg(long, allow_hyphen_values = true)]
    unionid: Option<UnionId>,
}

impl Which {
    /// `None` for what the command line does not let through.
    fn user(self) -> Option<WhichUser> {
        match self {
            Self { id: Some(id), .. } => Some(WhichUser::Id(id)),
            Self { appid: Some(appid), openid: Some(openid), .. } => Some(WhichUser::OpenId(appid, openid)),
            Self { unionid, .. } => unionid.map(WhichUser::UnionId),
        }
    }
}

impl UserCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.admin.open().await?;
        match self.action {
            Action::Find { tenant, which } => {
                let tenant = admin.tenant(&tenant).await?;
                let which = which.user().ok_or("name a user")?;
                let found = admin.find_users(&tenant, &which).await?;
                if self.admin.json {
                    print::json(&found.iter().map(|found| row(&tenant, found)).collect::<Vec<_>>());
                } else {
                    let rows: Vec<_> = found.iter().flat_map(cells).collect();
                    print::table(["USER", "STATUS", "NICKNAME", "APPID", "OPENID", "UNIONID"], &rows);
                }
            }
            Action::Block { tenant, id } => {
                let tenant = admin.tenant(&tenant).await?;
                admin.set_user_status(&tenant, id, UserStatus::Blocked).await?;
                self.admin.tell_status(&tenant, id, UserStatus::Blocked);
            }
            Action::Unblock { tenant, id } => {
                let tenant = admin.tenant(&tenant).await?;
                admin.set_user_status(&tenant, id, UserStatus::Active).await?;
                self.admin.tell_status(&tenant, id, UserStatus::Active);
            }
        }
        admin.storage.stop().await;
        Ok(())
    }
}

impl AdminArgs {
    fn tell_status(&self, tenant: &Tenant, id: UserId, status: UserStatus) {
        if self.json {
            print::json(&json!({ "id": id, "tenant": tenant.slug, "status": status.as_str() }));
        } else {
            let what = match status {
                UserStatus::Active => "may log in again",
                UserStatus::Blocked => "blocked, and all sessions are over",
            };
            print::line(format!("user {id} of tenant {}: {what}", tenant.slug));
        }
    }
}

fn row(tenant: &Tenant, (user, identities): &(User, Vec<KnownIdentity>)) -> Value {
    let identity = |known: &KnownIdentity| {
        json!({
            "appid": known.appid,
            "openid": known.openid,
            "unionid": known.unionid,
            "created_at_ms": known.created_at,
        })
    };
    json!({
        "id": user.id,
        "tenant": tenant.slug,
        "status": user.status.as_str(),
        "nickname": user.profile.nickname,
        "avatar_url": user.profile.avatar_url,
        "created_at_ms": user.created_at,
        "identities": identities.iter().map(identity).collect::<Vec<_>>(),
    })
}

/// A line for each identity.
fn cells((user, identities): &(User, Vec<KnownIdentity>)) -> Vec<[String; 6]> {
    let line = |known: &KnownIdentity| {
        [
            user.id.to_string(),
            user.status.as_str().to_owned(),
            user.profile.nickname.clone().unwrap_or_default(),
            known.appid.to_string(),
            known.openid.to_string(),
            known.unionid.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    };
    identities.iter().map(line).collect()
}
