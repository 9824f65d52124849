//! A tenant with one of everything.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::oauth::{ServiceClient, service_client};
use crate::harness::{Gateway, PATIENCE, Reply, jwt, within};

/// What there is of a tenant, and what it is called. No name is a part of another.
pub(super) struct Estate {
    pub(super) slug: String,
    pub(super) tenant_id: String,
    pub(super) group: String,
    pub(super) appid: String,
    app_id: String,
    group_id: String,
    pub(super) audience: String,
    pub(super) platform: String,
    pub(super) policy: String,
    pub(super) client: ServiceClient,
    pub(super) admin_key: String,
    pub(super) webhook: String,
    pub(super) kid: String,
    /// The address, token and key of its app's pushes.
    pub(super) push: Value,
    pub(super) login: Value,
}

/// The names that are chosen.
struct Called {
    slug: &'static str,
    name: &'static str,
    group: &'static str,
    appid: &'static str,
    platform: &'static str,
    audience: &'static str,
    policy: &'static str,
}

impl Estate {
    /// The one whose admin tries.
    pub(super) async fn mine(gateway: &Gateway) -> Self {
        let called = Called {
            slug: "acme",
            name: "Acme Ltd.",
            group: "kangaroos",
            appid: "wxmineaaaaaa0001",
            platform: "wxquokka0000cccc",
            audience: "wombat-api",
            policy: "koala",
        };
        Self::furnished(gateway, called).await
    }

    /// The one that is to be left alone.
    pub(super) async fn theirs(gateway: &Gateway) -> Self {
        let called = Called {
            slug: "bluewhale",
            name: "Porpoise Ltd.",
            group: "narwhals",
            appid: "wxtheirsaaaa0001",
            platform: "wxwalrus0000cccc",
            audience: "orca-api",
            policy: "beluga",
        };
        Self::furnished(gateway, called).await
    }

    async fn furnished(gateway: &Gateway, called: Called) -> Self {
        let Called { slug, name, group, appid, platform, audience, policy } = called;
        let made = gateway.command(["tenant", "add", slug, "--name", name, "--json"]).run().await.json();
        gateway.command(["union-group", "add", "--tenant", slug, group]).run().await.ok();
        gateway.add_app(slug, appid, Some(group)).await;
        let app = gateway.operator().get(&format!("/apps/{appid}")).await.ok();
        gateway.command(["audience", "add", "--tenant", slug, audience]).run().await.ok();
        gateway.command(["policy", "add", "--tenant", slug, policy, "--audience", appid]).run().await.ok();
        let made_platform = json!({"tenant": slug, "appid": platform, "secret": format!("5ec2e7a17{slug}")});
        gateway.operator().post("/platforms", &made_platform).await.status_is(201);
        let options = ["--audience", audience, "--exchange-to", audience, "--introspect", "--feed"];
        let client = service_client(gateway, slug, "follower", &options).await;
        let key = json!({"name": "of the house", "tenant": slug});
        let key = gateway.operator().post("/admin-keys", &key).await.json();
        // Of what nobody does here: what is told again and again changes by itself.
        let url = format!("https://{slug}.invalid/");
        let webhook = json!({"name": "told", "tenant": slug, "url": url, "events": ["user.merged"]});
        let webhook = gateway.operator().post("/webhooks", &webhook).await.json();
        let push = gateway.operator().put(&format!("/apps/{appid}/push"), &json!({"mode": "safe"})).await.ok();
        let issued = gateway.simulator().code(appid).await;
        let login = gateway.client().login_with(appid, &issued.code).await.ok();
        let keys = gateway.client().get(&format!("/t/{slug}/jwks.json")).await.ok();
        within(PATIENCE, "the policy is in force", async || {
            let asked = gateway.client().request(Method::GET, &format!("/forward-auth/{policy}"));
            let asked = asked.bearer_auth(login["access_token"].as_str().unwrap());
            (gateway.client().send(asked).await.status == 200).then_some(())
        })
        .await;
        Self {
            slug: slug.to_owned(),
            tenant_id: text(&made["id"]),
            group: group.to_owned(),
            appid: appid.to_owned(),
            app_id: text(&app["id"]),
            group_id: text(&app["union_group_id"]),
            audience: audience.to_owned(),
            platform: platform.to_owned(),
            policy: policy.to_owned(),
            client,
            admin_key: text(&key["id"]),
            webhook: text(&webhook["id"]),
            kid: text(&keys["keys"][0]["kid"]),
            push,
            login,
        }
    }

    /// Its user's access token.
    pub(super) fn token(&self) -> &str {
        self.login["access_token"].as_str().unwrap()
    }

    /// Its user's id.
    pub(super) fn user(&self) -> &str {
        self.login["user"]["id"].as_str().unwrap()
    }

    /// Its user, as its mini-program knows them.
    pub(super) fn openid(&self) -> &str {
        self.login["user"]["openid"].as_str().unwrap()
    }

    /// Everything by which something of it can be named, each with its kind.
    pub(super) fn names(&self) -> Vec<(&'static str, String)> {
        vec![
            ("slug", self.slug.clone()),
            ("tenant id", self.tenant_id.clone()),
            ("union group", self.group.clone()),
            ("union group's id", self.group_id.clone()),
            ("appid", self.appid.clone()),
            ("app", self.app_id.clone()),
            ("audience", self.audience.clone()),
            ("policy", self.policy.clone()),
            ("platform", self.platform.clone()),
            ("service client", self.client.id.clone()),
            ("admin key", self.admin_key.clone()),
            ("webhook", self.webhook.clone()),
            ("signing key", self.kid.clone()),
            ("user", text(&self.login["user"]["id"])),
            ("openid", text(&self.login["user"]["openid"])),
            ("unionid", text(&self.login["user"]["unionid"])),
            ("session", text(&self.login["session_id"])),
        ]
    }

    /// Fails if an answer holds anything of it, save what was sent.
    #[track_caller]
    pub(super) fn is_not_in(&self, reply: &Reply, sent: &str) {
        for (kind, name) in self.names() {
            assert!(name == sent || !reply.text.contains(&name), "the answer holds another's {kind}: {}", reply.text);
        }
    }

    /// Fails unless its user is who they were.
    pub(super) async fn is_still_logged_in(&self, gateway: &Gateway, after: &str) {
        let me = gateway.client().request(Method::GET, "/v1/me").bearer_auth(self.token());
        let me = gateway.client().send(me).await;
        assert_eq!(me.status, 200, "after {after}: {}", me.text);
        assert_eq!(me.json()["session_id"], self.login["session_id"]);
        let sub = &jwt::parts(&self.login["access_token"]).1["sub"];
        assert_eq!(&me.json()["id"], sub);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
