//! Who is who, and who may not log in.

use serde_json::{Value, json};

use super::{FAILURE, USAGE, refused};
use crate::harness::{APP, Gateway, OTHER_APP};

/// Logs somebody in; returns the user as the reply tells it.
async fn log_in(gateway: &Gateway, appid: &str, openid: &str, unionid: &str) -> Value {
    let person = json!({ "appid": appid, "openid": openid, "unionid": unionid });
    let issued = gateway.simulator().issue(&person).await;
    gateway.client().login_with(appid, &issued.code).await.ok()["user"].clone()
}

#[tokio::test]
async fn a_user_is_found_by_id_by_openid_and_by_unionid() {
    let gateway = Gateway::dev().await;
    let ada = log_in(&gateway, APP, "oAda", "uAda").await;
    assert_eq!(log_in(&gateway, OTHER_APP, "oAdaToo", "uAda").await["id"], ada["id"]);
    log_in(&gateway, APP, "oEve", "uEve").await;
    let id = ada["id"].as_str().unwrap();
    for which in [
        &[id][..],
        &["--appid", APP, "--openid", "oAda"],
        &["--openid", "oAdaToo", "--appid", OTHER_APP],
        &["--unionid", "uAda"],
    ] {
        let find = gateway.command(["user", "find", "--tenant", "demo", "--json"]);
        let found = which.iter().fold(find, |run, option| run.argument(option)).run().await.json();
        assert_eq!(found.as_array().unwrap().len(), 1, "{which:?}");
        assert_eq!((&found[0]["id"], &found[0]["status"]), (&ada["id"], &json!("active")));
        let identities = found[0]["identities"].as_array().unwrap();
        let openids: Vec<_> = identities.iter().map(|identity| identity["openid"].as_str().unwrap()).collect();
        assert_eq!(openids, ["oAda", "oAdaToo"]);
    }
    let table = gateway.command(["user", "find", "--tenant", "demo", id]).run().await.ok();
    assert!(table.starts_with("USER ") && table.contains("oAdaToo") && !table.contains("oEve"), "{table}");

    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    for nobody in [
        &["--tenant", "acme", id][..],
        &["--tenant", "acme", "--appid", APP, "--openid", "oAda"],
        &["--tenant", "acme", "--unionid", "uAda"],
        &["--tenant", "demo", "--appid", OTHER_APP, "--openid", "oAda"],
        &["--tenant", "demo", "--unionid", "uada"],
    ] {
        let find = nobody.iter().fold(gateway.command(["user", "find"]), |run, option| run.argument(option));
        assert!(refused(find.run().await, FAILURE).contains("has no such user"));
    }
    for wrong in [&[][..], &["--openid", "oAda"], &["--appid", APP], &[id, "--unionid", "uAda"], &["not-an-id"]] {
        let find = gateway.command(["user", "find", "--tenant", "demo"]);
        refused(wrong.iter().fold(find, |run, option| run.argument(option)).run().await, USAGE);
    }
}

#[tokio::test]
async fn refuses_the_login_of_a_blocked_user_until_unblocked() {
    let gateway = Gateway::dev().await;
    let ada = log_in(&gateway, APP, "oAda", "uAda").await;
    let id = ada["id"].as_str().unwrap();
    let told = gateway.command(["user", "block", "--tenant", "demo", id]).run().await.ok();
    assert!(told.contains("blocked"), "{told}");
    // By every door of the same person.
    for (appid, openid) in [(APP, "oAda"), (OTHER_APP, "oAdaToo")] {
        let person = json!({ "appid": appid, "openid": openid, "unionid": "uAda" });
        let issued = gateway.simulator().issue(&person).await;
        let refused = gateway.client().login_with(appid, &issued.code).await.refused(403, "USER_BLOCKED");
        assert_eq!(refused["action"], "stop");
    }
    let found = gateway.command(["user", "find", "--tenant", "demo", id, "--json"]).run().await.json();
    assert_eq!(found[0]["status"], "blocked");

    let unblocked = gateway.command(["user", "unblock", "--tenant", "demo", id, "--json"]).run().await.json();
    assert_eq!(unblocked["status"], "active");
    assert_eq!(log_in(&gateway, APP, "oAda", "uAda").await["id"], ada["id"]);

    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    for command in ["block", "unblock"] {
        let told = refused(gateway.command(["user", command, "--tenant", "acme", id]).run().await, FAILURE);
        assert!(told.contains(&format!("the tenant acme has no user {id}")), "{told}");
    }
    assert_eq!(log_in(&gateway, APP, "oAda", "uAda").await["id"], ada["id"], "another tenant's command did nothing");
}
