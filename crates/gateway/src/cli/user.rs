//! `wxgate user`: who is who, who may not log in, who is to be forgotten.

mod export;
mod import;
mod table;

use clap::{ArgGroup, Args, Subcommand};
use wxgate_domain::{E164, ExternalId, OpenId, Slug, Timestamp, UnionId, UserId, WechatAppid};

use super::admin::AdminArgs;
use super::{Failure, print};
use crate::operation::secret_text::SecretText;
use crate::operation::sessions::{EndSession, ListSessions, SessionReply};
use crate::operation::users::{
    BlockUser, EraseUser, FindUser, ListUsers, ShowUser, UnblockUser, UserReply, UserStatusReply,
};
use crate::operation::{Limit, Page};

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
    /// Find a user by id, by openid inside a mini-program, by unionid, by phone number, or by what another system calls them.
    #[command(
        after_help = "Examples:\n  wxgate user find --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045\n  wxgate user find --tenant acme --appid wx0123456789abcdef --openid oABC\n  wxgate user find --tenant acme --unionid uABC\n  wxgate user find --tenant acme --phone +8613800138000\n\nA unionid means something only inside an Open Platform account: it is looked for in the tenant's union groups."
    )]
    Find {
        /// The tenant; a tenant's key may leave it out.
        #[arg(long)]
        tenant: Option<Slug>,
        #[command(flatten)]
        which: Which,
    },
    /// List users, oldest first, a page at a time. All of them at once: `wxgate user export`.
    #[command(after_help = "Example:\n  wxgate user list --tenant acme")]
    List {
        /// The tenant; a tenant's key may leave it out.
        #[arg(long)]
        tenant: Option<Slug>,
        /// Begin after this user: the last of the page before.
        #[arg(long, value_name = "ID")]
        after: Option<UserId>,
    },
    /// Show a user with all identities.
    #[command(after_help = "Example:\n  wxgate user show --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Show(ShowUser),
    /// Block a user: no login, no refresh, and tokens are refused where revocations are followed. All sessions end for
    /// good.
    #[command(after_help = "Example:\n  wxgate user block --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Block(BlockUser),
    /// Let a user log in again; also one who was erased while blocked.
    #[command(after_help = "Example:\n  wxgate user unblock --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Unblock(UnblockUser),
    /// Forget a user for good: sessions, identities, profile. A block outlives them.
    #[command(after_help = "Example:\n  wxgate user erase --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Erase(EraseUser),
    /// List the live sessions of a user.
    #[command(after_help = "Example:\n  wxgate user sessions --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    Sessions {
        /// The tenant; a tenant's key may leave it out.
        #[arg(long)]
        tenant: Option<Slug>,
        /// The user's id, which is `sub` of the access token.
        #[arg(value_name = "ID")]
        user: UserId,
    },
    /// End a session: its refresh token is void, its access token is refused where revocations are followed.
    #[command(after_help = "Example:\n  wxgate user end-session --tenant acme 01a20353-a15f-723e-816c-874ed5c9b045")]
    EndSession(EndSession),
    /// Bring users of another system in, from CSV or JSON lines: appid, openid, and unionid, external_id and nickname where
    /// there are any. The same file again changes nothing.
    #[command(
        after_help = "Example:\n  wxgate user import --tenant acme users.csv\n\nusers.csv:\n  appid,openid,unionid,external_id,nickname\n  wx0123456789abcdef,oABC,,42,Ada\n\nLines that do not fit are told of and left out. Interrupted, run it again: what is there is passed over quickly."
    )]
    Import(import::Import),
    /// Write all users as CSV or JSON lines, a line for each user in each mini-program.
    #[command(after_help = "Example:\n  wxgate user export --tenant acme users.csv")]
    Export(export::Export),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["id", "openid", "unionid", "external_id", "phone"]))]
struct Which {
    /// The user's id, which is `sub` of the access token.
    id: Option<UserId>,
    /// The mini-program that knows the openid.
    #[arg(long, requires = "openid", conflicts_with_all = ["id", "unionid", "external_id", "phone"])]
    appid: Option<WechatAppid>,
    /// The user inside that mini-program.
    #[arg(long, requires = "appid", allow_hyphen_values = true)]
    openid: Option<OpenId>,
    /// The user inside an Open Platform account.
    #[arg(long, allow_hyphen_values = true)]
    unionid: Option<UnionId>,
    /// What another system calls the user.
    #[arg(long, allow_hyphen_values = true)]
    external_id: Option<ExternalId>,
    /// The user's phone number, with a plus and its country code. Only numbers that WeChat vouches for are found.
    #[arg(long, value_name = "NUMBER")]
    phone: Option<E164>,
}

impl UserCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let door = self.admin.door().await?;
        match self.action {
            Action::Find { tenant, which } => {
                let Which { id, appid, openid, unionid, external_id, phone } = which;
                let list = ListUsers {
                    tenant: tenant.clone(),
                    id,
                    appid,
                    openid,
                    unionid,
                    external_id,
                    ..ListUsers::default()
                };
                let found = match phone {
                    Some(phone) => {
                        let phone = SecretText::telling(phone.expose());
                        door.call(FindUser { tenant: tenant.clone(), phone }).await?.items
                    }
                    None => door.call(list).await?.items,
                };
                if found.is_empty() {
                    let whose = tenant.map_or_else(|| "this tenant".to_owned(), |slug| format!("the tenant {slug}"));
                    return Err(format!("{whose} has no such user").into());
                }
                self.admin.list_users(&found);
            }
            Action::List { tenant, after } => {
                let page = door.call(ListUsers { tenant, cursor: after, ..ListUsers::default() }).await?;
                self.admin.tell_page(&page);
            }
            Action::Show(show) => self.admin.tell_user(&door.call(show).await?),
            Action::Block(block) => {
                self.admin.tell_status(&door.call(block).await?, "blocked, and all sessions are over");
            }
            Action::Unblock(unblock) => self.admin.tell_status(&door.call(unblock).await?, "may log in again"),
            Action::Erase(erase) => {
                let id = erase.user.to_string();
                self.admin.confirm("nobody can bring back the user, their identities and their sessions", &id)?;
                let erased = door.call(erase).await?;
                if self.admin.json {
                    print::json(&erased);
                } else {
                    print::line(format!(
                        "user {id}: erased, with {} identities and {} live sessions",
                        erased.identities, erased.sessions_ended
                    ));
                }
            }
            Action::Sessions { tenant, user } => {
                let next = |cursor| ListSessions { tenant: tenant.clone(), user, limit: Limit::MOST, cursor };
                self.admin.list_sessions(&door.all(next).await?);
            }
            Action::Import(import) => import.run(&self.admin, &door).await?,
            Action::Export(export) => export.run(&door).await?,
            Action::EndSession(end) => {
                let sid = end.sid;
                door.call(end).await?;
                if !self.admin.json {
                    print::line(format!("session {sid}: over"));
                }
            }
        }
        door.close().await;
        Ok(())
    }
}

impl AdminArgs {
    fn list_users(&self, users: &[UserReply]) {
        if self.json {
            print::json(&users);
        } else {
            table_of(users);
        }
    }

    fn tell_page(&self, page: &Page<UserReply>) {
        if self.json {
            print::json(page);
            return;
        }
        table_of(&page.items);
        if let Some(cursor) = &page.next_cursor {
            print::line(format!("there are more: --after {cursor}"));
        }
    }

    fn tell_user(&self, user: &UserReply) {
        if self.json {
            print::json(user);
        } else {
            table_of(std::slice::from_ref(user));
        }
    }

    fn tell_status(&self, user: &UserStatusReply, what: &str) {
        if self.json {
            print::json(user);
        } else {
            print::line(format!("user {} of tenant {}: {what}", user.id, user.tenant));
        }
    }

    fn list_sessions(&self, sessions: &[SessionReply]) {
        if self.json {
            print::json(&sessions);
            return;
        }
        let time = |seconds: i64| Timestamp::from_millis(seconds * 1_000).to_rfc3339();
        let cells = |session: &SessionReply| {
            let refreshed = session.refreshed_at.map_or_else(|| "never".to_owned(), time);
            [session.id.clone(), session.appid.clone(), time(session.opened_at), refreshed]
        };
        let rows: Vec<_> = sessions.iter().map(cells).collect();
        print::table(["SESSION", "APPID", "OPENED", "REFRESHED"], &rows);
    }
}

fn table_of(users: &[UserReply]) {
    let rows: Vec<_> = users.iter().flat_map(cells).collect();
    print::table(["USER", "STATUS", "NICKNAME", "EXTERNAL ID", "PHONE", "APPID", "OPENID", "UNIONID"], &rows);
}

/// A line for each identity.
fn cells(user: &UserReply) -> Vec<[String; 8]> {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let line = |appid: &str, openid: &str, unionid: &Option<String>| {
        let (nickname, external_id) = (or_empty(&user.nickname), or_empty(&user.external_id));
        let (id, status) = (user.id.clone(), user.status.clone());
        let phone = or_empty(&user.phone_masked);
        [id, status, nickname, external_id, phone, appid.to_owned(), openid.to_owned(), or_empty(unionid)]
    };
    let known = user.identities.iter().map(|known| line(&known.appid, &known.openid, &known.unionid));
    known.collect()
}
