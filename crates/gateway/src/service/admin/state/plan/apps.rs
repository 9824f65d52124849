//! What has to be done about mini-programs.

use std::collections::HashSet;

use wxgate_domain::{AppPolicy, AppSecret, AppStatus, WechatAppid};
use wxgate_storage::NewApp;

use super::super::super::{Admin, AdminError, checked};
use super::super::Verb;
use super::super::present::Present;
use super::{Act, Plan};
use crate::operation::state::AppState;

impl Plan {
    pub(super) async fn apps(
        &mut self,
        admin: &Admin,
        present: Option<&Present>,
        wanted: Vec<AppState>,
        (owned, groups): (&HashSet<String>, &HashSet<&str>),
    ) -> Result<(), AdminError> {
        self.once("apps", wanted.iter().map(|app| &app.appid));
        let appids: HashSet<_> = wanted.iter().map(|app| app.appid.clone()).collect();
        let mut later = Vec::new();
        for app in wanted {
            let place = format!("apps.{}", app.appid);
            let AppState { appid, name, secret, platform, disabled, union_group: group, policy, push } = app;
            let name = self.checked(&format!("{place}.name"), checked(name.unwrap_or_else(|| appid.to_string())));
            let policy = self.checked(&format!("{place}.policy"), policy.checked());
            let secret = secret.and_then(|text| self.checked(&format!("{place}.secret"), text.parse()));
            if group.as_deref().is_some_and(|group| !groups.contains(group)) {
                self.problem(&format!("{place}.union_group"), "the tenant has no such union group");
            }
            // What is wrong is told; the rest is looked at all the same.
            let (name, policy) = (name.unwrap_or_default(), policy.unwrap_or_default());
            self.owns(&format!("{place}.policy.audiences"), policy.audiences.iter().map(String::as_str), owned);
            let status = disabled.map(|off| if off { AppStatus::Disabled } else { AppStatus::Enabled });
            let known = present.into_iter().flat_map(|p| &p.apps).find(|known| known.appid == appid);
            let change = Act::ChangeApp {
                appid: appid.clone(),
                name: name.clone(),
                group: group.clone(),
                policy: policy.clone(),
            };
            let acting = known.and_then(|known| known.credential.component()).map(|component| &component.platform);
            if platform.is_some() && (secret.is_some() || acting != platform.as_ref()) {
                let way = "only an authorisation brings an app under a platform, see `wxgate platform authorize`";
                self.problem(&format!("{place}.platform"), way);
                continue;
            }
            let Some(known) = known else {
                self.new_app(admin, &place, (appid.clone(), name, policy.clone()), (secret, group)).await?;
                self.push(admin, &appid, push, None).await?;
                // The audiences that it names may be those of apps that come after it.
                if !policy.audiences.is_empty() {
                    later.push(change);
                }
                if status == Some(AppStatus::Disabled) {
                    later.push(Act::SetAppStatus(appid, AppStatus::Disabled));
                }
                continue;
            };
            let same_group = present.and_then(|present| present.group(known.union_group)) == group.as_deref();
            let same = known.name == name && known.policy == policy && same_group;
            let status = status.filter(|status| *status != known.status);
            let verb = if same && status.is_none() { Verb::Keep } else { Verb::Change };
            self.step(verb, "app", &appid, Act::Nothing);
            if !same {
                later.push(change);
            }
            later.extend(status.map(|status| Act::SetAppStatus(appid.clone(), status)));
            let Some(present) = present else { continue };
            self.push(admin, &appid, push, Some((present, known))).await?;
            if let Some(secret) = secret {
                let apps = admin.storage.tenant(present.tenant.id).apps();
                let present = known.credential.secret().map(|secret| &secret.fingerprint);
                if present != Some(&apps.fingerprint(&secret).await?) {
                    let act = Act::SetSecret { appid: appid.clone(), secret, is_accepted: false };
                    self.step(Verb::Change, "AppSecret", &appid, act);
                }
            }
        }
        for act in later {
            self.completing(act);
        }
        let gone: Vec<_> =
            present.into_iter().flat_map(|p| &p.apps).filter(|app| !appids.contains(&app.appid)).collect();
        let Some(present) = present else { return Ok(()) };
        for app in &gone {
            self.gone("app", &app.appid, Act::RemoveApp(Box::new((*app).clone())));
        }
        // Apps that go together may name one another, and must not hold one another.
        let prune = self.prune;
        for app in gone.iter().filter(|app| prune && !app.policy.audiences.is_empty()) {
            let policy = AppPolicy { audiences: Vec::new(), ..app.policy.clone() };
            let group = present.group(app.union_group).map(str::to_owned);
            let act = Act::ChangeApp { appid: app.appid.clone(), name: app.name.clone(), group, policy };
            self.before_removals(act);
        }
        Ok(())
    }

    async fn new_app(
        &mut self,
        admin: &Admin,
        place: &str,
        (appid, name, policy): (WechatAppid, String, AppPolicy),
        (secret, group): (Option<AppSecret>, Option<String>),
    ) -> Result<(), AdminError> {
        if admin.storage.apps().find(&appid).await?.is_some_and(|found| found.tenant.slug != self.tenant) {
            self.problem(place, "another tenant has this appid");
        }
        let Some(secret) = secret else {
            self.problem(place, "a new app needs its secret");
            return Ok(());
        };
        let policy = AppPolicy { audiences: Vec::new(), ..policy };
        let new = NewApp {
            appid: appid.clone(),
            name,
            secret,
            is_accepted: false,
            union_group: None,
            policy,
            may_move: true,
        };
        self.step(Verb::Create, "app", &appid, Act::AddApp { new, group });
        Ok(())
    }
}
