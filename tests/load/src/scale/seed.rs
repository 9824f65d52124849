//! Fills an installation as an operator would: over the admin API.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Size;
use crate::Failure;
use crate::http::{JSON, post, send_all};
use crate::simulator::{SECRET, appid};

/// Connections that seed at once.
const CONNECTIONS: usize = 8;
/// Users that one request brings.
const BATCH: usize = 500;

/// Makes the tenants, their apps and their users.
pub(super) async fn all(admin: SocketAddr, key: &str, size: &Size) -> Result<(), Failure> {
    let tenants = (0..size.tenants).map(|tenant| json!({ "slug": format!("t{tenant:05}") }));
    send(admin, key, "/admin/v1/tenants", tenants).await?;
    let apps = size
        .apps
        .clone()
        .map(|app| json!({ "tenant": size.tenant_of(app), "appid": appid(app), "secret": SECRET }));
    send(admin, key, "/admin/v1/apps", apps).await?;
    // All users of one tenant come together.
    let mut users = vec![Vec::new(); size.tenants];
    for number in 0..size.users {
        let user = size.user(number);
        let app = size.apps.start + number % size.apps.len();
        users[(app - size.apps.start) % size.tenants].push(json!({ "appid": user.appid, "openid": user.openid() }));
    }
    let batches = users.iter().enumerate().flat_map(|(tenant, users)| {
        let tenant = format!("t{tenant:05}");
        users.chunks(BATCH).map(move |rows| json!({ "tenant": tenant, "rows": rows }))
    });
    send(admin, key, "/admin/v1/users/import", batches).await
}

async fn send(admin: SocketAddr, key: &str, path: &str, bodies: impl Iterator<Item = Value>) -> Result<(), Failure> {
    let authorization = format!("Authorization: Bearer {key}\r\n");
    let requests = bodies.map(|body| post(path, JSON, &authorization, &body.to_string())).collect();
    let answered = send_all(admin, requests, CONNECTIONS).await?;
    match answered.replies.iter().find(|reply| !(200..300).contains(&reply.status)) {
        None => Ok(()),
        Some(refused) => Err(format!("{path}: {} {}", refused.status, String::from_utf8_lossy(&refused.body)).into()),
    }
}
