//! What a trial begins with: a tenant, a union group and apps, which the simulated WeChat knows as well.

use std::collections::HashMap;

use tokio::sync::broadcast::error::RecvError;
use wxgate_crypto::{Random, Secret, encoding};
use wxgate_domain::{
    AppPolicy, AppSecret, AppSecrets, Credential, Slug, Tenant, TenantPolicy, UnionGroupId, WechatAppid,
};
use wxgate_storage::{Storage, StoredApp};
use wxgate_wechat_sim::{SimulatedApp, Simulator};

use crate::cli::Failure;
use crate::cli::sim::AppArg;
use crate::service::admin::{Admin, AppToAdd, Proof};

/// The tenant of a trial, and the union group that its apps are bound to.
pub(super) const TENANT: &str = "demo";

/// Apps that are read at once.
const PAGE: u64 = 500;

const DEMO_APPS: [&str; 2] = ["wx000000000000de01", "wx000000000000de02"];

/// Adds the apps that were asked for, or two demo apps to a trial that has none; returns the appids of all. The simulated
/// WeChat is about to be told of them, so it accepts their secrets; another one proves them by the first login.
pub(super) async fn apps(
    admin: &Admin,
    asked: Vec<AppArg>,
    is_simulated: bool,
    random: &Random,
) -> Result<Vec<String>, Failure> {
    let proof = Proof::Known(is_simulated);
    let tenant = tenant(admin).await?;
    let mut known = admin.storage.tenant(tenant.id).apps().list().await?;
    if asked.is_empty() && known.is_empty() {
        for appid in DEMO_APPS {
            let secret = encoding::to_hex(random.secret::<16>().expose());
            add(admin, &tenant, appid, AppSecret::parse(&Secret::new(secret))?, proof).await?;
        }
    }
    for app in asked {
        let secret = AppSecret::parse(&Secret::new(app.secret))?;
        let appid: WechatAppid = app.appid.parse().map_err(|_| format!("{} is no appid", app.appid))?;
        match admin.storage.apps().find(&appid).await? {
            None => add(admin, &tenant, &app.appid, secret, proof).await?,
            Some(found) => {
                let is_known = match &found.credential {
                    Credential::AppSecret(AppSecrets { current, .. }) => current.expose() == secret.expose(),
                    Credential::Component { .. } => false,
                };
                if !is_known {
                    admin.rotate_secret(&(found.tenant, found.app), secret, proof, |_| Ok(())).await?;
                }
            }
        }
    }
    known = admin.storage.tenant(tenant.id).apps().list().await?;
    Ok(known.iter().map(|app| app.appid.to_string()).collect())
}

async fn tenant(admin: &Admin) -> Result<Tenant, Failure> {
    let slug: Slug = TENANT.parse()?;
    if let Some(tenant) = admin.storage.tenants().find(&slug).await? {
        return Ok(tenant);
    }
    admin.add_tenant(slug.clone(), ("Demo".to_owned(), TenantPolicy::default()), drop).await?;
    let tenant = admin.tenant(&slug).await?;
    admin.add_union_group(&tenant, TENANT, drop).await?;
    Ok(tenant)
}

async fn add(admin: &Admin, tenant: &Tenant, appid: &str, secret: AppSecret, proof: Proof) -> Result<(), Failure> {
    let parsed = appid.parse().map_err(|_| format!("{appid} is no appid"))?;
    // The apps of one trial are taken to be bound to one Open Platform account.
    let union_group = Some(admin.union_group(Some(tenant), TENANT).await?.1.id);
    let policy = AppPolicy::default();
    let app = AppToAdd { appid: parsed, name: appid.to_owned(), secret, union_group, policy };
    Ok(admin.add_app(tenant, app, proof, drop).await?)
}

/// The apps that the simulated WeChat was told of, each with its union group.
type Told = HashMap<WechatAppid, Option<UnionGroupId>>;

/// Tells the simulated WeChat every app with its AppSecret, as far as it was not told yet: a secret that is reset there
/// stays so. What nobody has proved is told at the start alone: while it runs, the simulator itself is asked about it.
pub(super) async fn introduce(
    storage: &Storage,
    simulator: &Simulator,
    told: &mut Told,
    at_start: bool,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let page = storage.apps().page(None, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.app.appid.to_string());
        for StoredApp { app, credential, .. } in page {
            // The simulator made the app that a platform acts for known to us, not we to it.
            let Credential::AppSecret(AppSecrets { current, .. }) = credential else { continue };
            let is_settled = at_start || app.credential.is_proved();
            if !is_settled || told.insert(app.appid.clone(), app.union_group) == Some(app.union_group) {
                continue;
            }
            simulator.put_app(SimulatedApp {
                appid: app.appid.to_string(),
                secret: current.expose().to_owned(),
                union_group: app.union_group.map(|group| group.to_string()),
            })?;
        }
    }
}

/// Keeps the simulated WeChat informed of apps that are added or bound to another group while the trial runs.
pub(super) async fn keep_introducing(storage: Storage, simulator: Simulator, mut told: Told) {
    let mut changes = storage.changes();
    loop {
        if let Err(RecvError::Closed) = changes.recv().await {
            return;
        }
        if let Err(error) = introduce(&storage, &simulator, &mut told, false).await {
            tracing::warn!(error.source = %error, "the simulated WeChat was not told of a change");
        }
    }
}
