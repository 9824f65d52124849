//! How to try each operation of the admin API: with what of one's own it works.

use serde_json::{Value, json};

use super::estate::Estate;

/// Fields of bodies and queries in which any text may stand: it names nothing that is there.
pub(super) const FREE: &[&str] =
    &["name", "secret", "scopes", "appid", "phone", "token", "push_token", "encoding_aes_key", "url"];

/// A job that never was.
const NO_JOB: &str = "01a20d09-11be-76ee-83ba-4cbff4047d03";

/// A master key that never was.
const NO_KEY: &str = "0123456789abcdef";

/// One operation.
pub(super) struct Known {
    pub(super) id: &'static str,
    /// With what a tenant's admin would call it.
    pub(super) fields: Value,
    /// What they are answered: 403 for what is the operator's alone.
    pub(super) answer: u16,
}

/// Every operation, one line each, in an order in which a tenant's admin can do one after the other: what destroys
/// something comes last. Whatever is read with 200 is also what is compared, to know that nothing changed.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn known(of: &Estate) -> Vec<Known> {
    let known = |id, fields, answer| Known { id, fields, answer };
    vec![
        known("listTenants", json!({}), 200),
        known("showTenant", json!({"tenant": of.slug}), 200),
        known("changeTenant", json!({"tenant": of.slug, "name": "Acme"}), 200),
        known("addTenant", json!({"slug": "another"}), 403),
        known("suspendTenant", json!({"tenant": of.slug}), 403),
        known("resumeTenant", json!({"tenant": of.slug}), 403),
        known("listAdminKeys", json!({"tenant": of.slug}), 200),
        known("addAdminKey", json!({"name": "second", "tenant": of.slug, "scopes": ["read"]}), 201),
        known("listAudit", json!({"tenant": of.slug}), 200),
        known("verifyAudit", json!({"tenant": of.slug}), 200),
        known("examine", json!({}), 403),
        known("listJobs", json!({"tenant": of.slug}), 200),
        known("showJob", json!({"job": NO_JOB}), 404),
        known("listDataKeys", json!({"tenant": of.slug}), 200),
        known("rotateDataKey", json!({"tenant": of.slug, "purpose": "digest"}), 200),
        known("removeDataKey", json!({"tenant": of.slug, "number": 2}), 204),
        known("listMasterKeys", json!({}), 403),
        known("activateMasterKey", json!({"key": NO_KEY}), 403),
        known("rewrapKeys", json!({}), 403),
        known("removeMasterKey", json!({"key": NO_KEY}), 403),
        known("listUsers", json!({"tenant": of.slug}), 200),
        known("findUser", json!({"tenant": of.slug, "phone": "+8613800138000"}), 200),
        known("showUser", json!({"tenant": of.slug, "user": of.login["user"]["id"]}), 200),
        known("listSessions", json!({"tenant": of.slug, "user": of.login["user"]["id"]}), 200),
        known("importUsers", json!({"tenant": of.slug, "rows": [{"appid": of.appid, "openid": "oBrought"}]}), 200),
        known("listMerges", json!({"tenant": of.slug}), 200),
        known("mergeUsers", json!({"tenant": of.slug, "user": of.user(), "into": of.user()}), 409),
        known("undoMerge", json!({"tenant": of.slug, "merge": NO_JOB}), 404),
        known("listMergeCandidates", json!({"tenant": of.slug}), 200),
        known("dismissMergeCandidate", json!({"tenant": of.slug, "candidate": NO_JOB}), 404),
        known("reportUnionGroup", json!({"tenant": of.slug, "group": of.group, "app": of.appid}), 200),
        known("joinUnionGroup", json!({"tenant": of.slug, "group": of.group, "app": of.appid}), 200),
        known("deleteTenant", json!({"tenant": of.slug}), 403),
        known("endSession", json!({"tenant": of.slug, "sid": of.login["session_id"]}), 204),
        known("blockUser", json!({"tenant": of.slug, "user": of.login["user"]["id"]}), 200),
        known("unblockUser", json!({"tenant": of.slug, "user": of.login["user"]["id"]}), 200),
        known("eraseUser", json!({"tenant": of.slug, "user": of.login["user"]["id"]}), 200),
        known("listUnionGroups", json!({"tenant": of.slug}), 200),
        known("showUnionGroup", json!({"tenant": of.slug, "group": of.group}), 200),
        known("addUnionGroup", json!({"tenant": of.slug, "name": "another"}), 201),
        known("listApps", json!({"tenant": of.slug}), 200),
        known("showApp", json!({"app": of.appid}), 200),
        known(
            "addApp",
            json!({"tenant": of.slug, "appid": "wxanother", "secret": "another", "union_group": of.group}),
            201,
        ),
        known("changeApp", json!({"app": of.appid, "name": "Shop", "policy": {"audiences": [of.audience]}}), 200),
        known("verifyApp", json!({"app": of.appid}), 200),
        known("showAppCalls", json!({"app": of.appid}), 200),
        known("setAppSecret", json!({"app": of.appid, "secret": "next", "ahead": true}), 200),
        known("setApiSecurity", json!({"app": of.appid}), 400),
        known("forgetPreviousApiSecurity", json!({"app": of.appid}), 204),
        known("forgetApiSecurity", json!({"app": of.appid}), 204),
        known("setPush", json!({"app": of.appid, "mode": "safe"}), 200),
        known("showPush", json!({"app": of.appid}), 200),
        known("rotatePush", json!({"app": of.appid}), 200),
        known("finishPush", json!({"app": of.appid}), 200),
        known("removePush", json!({"app": of.appid}), 204),
        known("disableApp", json!({"app": of.appid}), 200),
        known("enableApp", json!({"app": of.appid}), 200),
        known("listPlatforms", json!({"tenant": of.slug}), 200),
        known("addPlatform", json!({"tenant": of.slug, "appid": "wxanotherplatform", "secret": "another"}), 403),
        known("showPlatform", json!({"platform": of.platform}), 200),
        known("setPlatformSecret", json!({"platform": of.platform, "secret": "another"}), 200),
        known("rotatePlatformPush", json!({"platform": of.platform}), 200),
        known("finishPlatformPush", json!({"platform": of.platform}), 200),
        // The simulated WeChat does not know it, so it pushed no ticket.
        known("startTickets", json!({"platform": of.platform}), 422),
        known("startAuthorization", json!({"platform": of.platform}), 409),
        known("finishAuthorization", json!({"platform": of.platform, "state": "another", "auth_code": "another"}), 403),
        known("listPlatformApps", json!({"platform": of.platform}), 200),
        known("attachPlatformApp", json!({"platform": of.platform, "app": of.appid}), 403),
        known("removePlatform", json!({"platform": of.platform}), 204),
        known("listAudiences", json!({"tenant": of.slug}), 200),
        known("addAudience", json!({"tenant": of.slug, "name": "another"}), 403),
        known("removeAudience", json!({"name": of.audience}), 403),
        known("listPolicies", json!({"tenant": of.slug}), 200),
        known("showPolicy", json!({"name": of.policy}), 200),
        known("addPolicy", json!({"tenant": of.slug, "name": "another", "audience": of.audience}), 201),
        known("changePolicy", json!({"name": of.policy, "audience": of.audience}), 200),
        known("listServiceClients", json!({"tenant": of.slug}), 200),
        known("showServiceClient", json!({"id": of.client.id}), 200),
        known("addServiceClient", json!({"tenant": of.slug, "name": "another"}), 201),
        known(
            "changeServiceClient",
            json!({"id": of.client.id, "policy": {"audiences": [of.audience], "access_tokens": [of.appid]}}),
            200,
        ),
        known("rotateServiceClient", json!({"id": of.client.id}), 201),
        known("listWebhooks", json!({"tenant": of.slug}), 200),
        known("showWebhook", json!({"id": of.webhook}), 200),
        known("addWebhook", json!({"tenant": of.slug, "name": "another", "url": "https://hooks.example/"}), 201),
        known("changeWebhook", json!({"id": of.webhook, "name": "renamed"}), 200),
        known("rotateWebhook", json!({"id": of.webhook}), 201),
        known("listDeliveries", json!({"id": of.webhook}), 200),
        known("replayDeliveries", json!({"id": of.webhook}), 200),
        known("listSigningKeys", json!({"tenant": of.slug}), 200),
        known("rotateSigningKey", json!({"tenant": of.slug}), 409),
        known("retireSigningKey", json!({"tenant": of.slug, "kid": of.kid}), 200),
        known("exportState", json!({"tenant": of.slug}), 200),
        known("applyState", json!({"tenants": [{"slug": of.slug}]}), 403),
        known("removeServiceClient", json!({"id": of.client.id}), 204),
        known("removeWebhook", json!({"id": of.webhook}), 204),
        known("removePolicy", json!({"name": of.policy}), 204),
        known("removeApp", json!({"app": of.appid}), 200),
        known("renameUnionGroup", json!({"tenant": of.slug, "group": of.group, "name": "renamed"}), 200),
        known("removeUnionGroup", json!({"tenant": of.slug, "group": "renamed"}), 409),
        known("removeAdminKey", json!({"id": of.admin_key}), 204),
    ]
}
