//! Backup and restore, as docs/backup.md tells it.

use serde_json::{Value, json};

use crate::harness::{APP, Gateway};

async fn log_in(gateway: &Gateway, openid: &str) -> Value {
    let issued = gateway.simulator().issue(&json!({ "appid": APP, "openid": openid })).await;
    gateway.client().login_with(APP, &issued.code).await.ok()
}

#[tokio::test]
async fn a_restored_backup_brings_back_everybody_but_whoever_was_erased() {
    let mut gateway = Gateway::dev().await;
    let (ada, eve) = (log_in(&gateway, "oAda").await, log_in(&gateway, "oEve").await);
    let file = gateway.folder().join("backup.db");
    let path = file.display().to_string();
    let kids = async |gateway: &Gateway| -> Vec<String> {
        let keys = gateway.client().get("/t/demo/jwks.json").await.ok();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].to_string()).collect()
    };
    let known = kids(&gateway).await;
    let made = gateway.command(["backup", &path, "--json"]).run().await.json();
    assert_eq!(made["bytes"].as_u64(), Some(std::fs::metadata(&file).unwrap().len()));
    assert!(made["erasure_journal"].as_str().unwrap().ends_with("erasures.jsonl"));
    let told = gateway.command(["backup", &path]).run().await.failed();
    assert!(told.contains("exists already"), "{told}");
    let told = gateway.remote(["backup", &path]).run().await.failed();
    assert!(told.contains("database alone"), "{told}");

    let late = log_in(&gateway, "oLate").await;
    let id = ada["user"]["id"].as_str().unwrap();
    gateway.remote(["user", "erase", "--tenant", "demo", id, "--yes"]).run().await.ok();
    assert!(gateway.terminate().await.success());

    let database = gateway.data().join("wxgate.db");
    for suffix in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database.display()));
    }
    std::fs::copy(&file, &database).unwrap();
    let refused = gateway.remote(["db", "restored"]).run().await.failed();
    assert!(refused.contains("works on the database alone"), "whoever names a gateway means that one: {refused}");
    let restored = gateway.command(["db", "restored", "--json"]).run().await.json();
    assert_ne!(restored["restore_epoch"], 0);
    let replayed = &restored["erasures"][0]["replayed"];
    assert_eq!((&replayed["entries"], &replayed["erased"]), (&json!(1), &json!(1)));
    gateway.restart().await;
    let fresh = kids(&gateway).await;
    assert!(fresh.len() == 2 && fresh.iter().all(|kid| !known.contains(kid)), "nobody holds them yet: {fresh:?}");
    let log = gateway.command(["audit", "list", "--json"]).run().await.json();
    assert!(log.to_string().contains("db.restored"), "{log}");

    for login in [&ada, &eve, &late] {
        let refresh = json!({ "refresh_token": login["refresh_token"] });
        gateway.client().post("/v1/token/refresh", &refresh).await.refused(401, "REFRESH_INVALID");
    }
    let found = gateway.command(["user", "find", "--tenant", "demo", id]).run().await.failed();
    assert!(found.contains("has no such user"), "{found}");
    assert_eq!(log_in(&gateway, "oEve").await["user"]["id"], eve["user"]["id"]);
    let again = log_in(&gateway, "oAda").await;
    assert_ne!(again["user"]["id"], ada["user"]["id"]);
    gateway.client().post("/v1/token/refresh", &json!({ "refresh_token": again["refresh_token"] })).await.ok();
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_a_backup() {
    use std::os::unix::fs::PermissionsExt;

    let gateway = Gateway::dev().await;
    let file = gateway.folder().join("backup.db");
    let told = gateway.command(["backup", &file.display().to_string()]).run().await.ok();
    assert!(told.contains("master key") && told.contains("erasures.jsonl"), "{told}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let nowhere = gateway.folder().join("no/such/folder.db").display().to_string();
    gateway.command(["backup", &nowhere]).run().await.failed();
}
