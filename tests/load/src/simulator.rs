//! The simulated WeChat: its apps, and codes for users to log in with.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use tokio::process::Command;

use crate::Failure;
use crate::http::{JSON, Reply, post, send_all};
use crate::process::{Server, address_in};

/// Apps are many because each has a limit of 500 logins a second, as by default.
pub(crate) const APPS: usize = 40;

/// The AppSecret of all of them.
pub(crate) const SECRET: &str = "5ad0c4e1b7f2963885a0d1c2e3f4b596";

/// Connections to fetch codes over.
const CONNECTIONS: usize = 32;

/// The WeChat id of an app.
pub(crate) fn appid(app: usize) -> String {
    format!("wx{app:016x}")
}

/// Starts `wxgate sim` with all apps.
pub(crate) async fn start(wxgate: &Path, data: &Path) -> Result<Server, Failure> {
    let mut command = Command::new(wxgate);
    command.args(["sim", "--listen", "127.0.0.1:0"]);
    for app in 0..APPS {
        command.arg("--app").arg(format!("{}={SECRET}", appid(app)));
    }
    let log = data.join("simulator.log");
    Server::start("the simulated WeChat", command, &log, || address_in(&log, "listening on http://")).await
}

/// Someone who logs in to one app.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) appid: String,
    openid: String,
}

impl User {
    /// The user of this number; users and apps are spread evenly.
    pub(crate) fn number(number: usize) -> Self {
        Self::of_app(number % APPS, number)
    }

    /// The user of this number in one app.
    pub(crate) fn of_app(app: usize, number: usize) -> Self {
        Self { appid: appid(app), openid: format!("oLoad{number:023}") }
    }

    /// What WeChat calls them.
    pub(crate) fn openid(&self) -> &str {
        &self.openid
    }
}

/// Lets the simulated WeChat know apps of these numbers, too.
///
/// # Errors
/// The simulator refuses.
pub(crate) async fn add_apps(simulator: SocketAddr, apps: Range<usize>) -> Result<(), Failure> {
    let body = |app| format!(r#"{{"appid":"{}","secret":"{SECRET}"}}"#, appid(app));
    let requests = apps.map(|app| post("/sim/apps", JSON, "", &body(app))).collect();
    let answered = send_all(simulator, requests, CONNECTIONS).await?;
    let refused = answered.replies.iter().find(|reply| !(200..300).contains(&reply.status));
    refused.map_or(Ok(()), |reply| Err(format!("/sim/apps: {}", reply.status).into()))
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// A user's data as the mini-program gets it from WeChat.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserData {
    pub(crate) encrypted_data: String,
    pub(crate) iv: String,
}

/// What `wx.login` gives each user.
///
/// # Errors
/// The simulator refuses.
pub(crate) async fn codes(simulator: SocketAddr, users: &[User]) -> Result<Vec<String>, Failure> {
    let body = |user: &User| format!(r#"{{"appid":"{}","openid":"{}"}}"#, user.appid, user.openid);
    let codes: Vec<Code> = steer(simulator, "/sim/codes", users, body).await?;
    Ok(codes.into_iter().map(|code| code.code).collect())
}

/// What `wx.getUserInfo` gives each user after [`codes`]: the placeholder that WeChat has given since November 2022.
///
/// # Errors
/// The simulator refuses.
pub(crate) async fn user_data(simulator: SocketAddr, users: &[User]) -> Result<Vec<UserData>, Failure> {
    let body = |user: &User| {
        let User { appid, openid } = user;
        format!(r#"{{"appid":"{appid}","openid":"{openid}","kind":"user_info","anonymous":true}}"#)
    };
    steer(simulator, "/sim/encrypt", users, body).await
}

async fn steer<T: for<'a> Deserialize<'a>>(
    simulator: SocketAddr,
    path: &str,
    users: &[User],
    body: impl Fn(&User) -> String,
) -> Result<Vec<T>, Failure> {
    let requests = users.iter().map(|user| post(path, JSON, "", &body(user))).collect();
    let answered = send_all(simulator, requests, CONNECTIONS).await?;
    answered.replies.iter().map(|reply| read(path, reply)).collect()
}

fn read<T: for<'a> Deserialize<'a>>(path: &str, reply: &Reply) -> Result<T, Failure> {
    if reply.status != 200 {
        return Err(format!("{path}: {} {}", reply.status, String::from_utf8_lossy(&reply.body)).into());
    }
    Ok(serde_json::from_slice(&reply.body)?)
}
