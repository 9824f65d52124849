//! The audit log: every operator's move is written down, a tenant reads its own, and nobody changes a byte unseen.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::cli::Cli;
use crate::harness::database::execute;
use crate::harness::gateway::Gateway;

/// Exit status of `audit verify` when a log is not as it was written.
const TAMPERED: i32 = 2;

/// One of a tenant's entries, oldest first.
async fn entries(operator: &crate::harness::operator::Operator, query: &str) -> Vec<Value> {
    let mut items = operator.get(&format!("/audit{query}")).await.ok()["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

fn said<'a>(entries: &'a [Value], field: &str) -> Vec<&'a str> {
    entries.iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

/// Somebody at the database's own prompt.
async fn tamper(gateway: &Gateway, statement: &str) {
    execute(&format!("sqlite://{}", gateway.data().join("wxgate.db").display()), statement).await;
}

fn on_database(gateway: &Gateway, arguments: &[&str]) -> Cli {
    crate::harness::cli::wxgate(arguments.iter().copied()).config(&gateway.data().join("wxgate.toml"))
}

#[tokio::test]
async fn every_move_is_written_down_with_who_where_and_when() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let made = operator.post("/tenants", &json!({"slug": "acme"})).await;
    made.status_is(201);
    let admin = operator.admin_of("acme").await;
    admin.patch("/tenants/acme", &json!({"policy": {"audit_days": 60}})).await.ok();

    let log = entries(&operator, "?tenant=acme").await;
    assert_eq!(said(&log, "action"), ["tenant.create", "admin-key.create", "tenant.change"]);
    assert_eq!(said(&log, "target")[0], "acme");
    assert_eq!(said(&log, "outcome"), ["done"; 3]);
    assert_eq!(log[0]["request_id"], made.header("x-request-id"));
    assert!(log.iter().all(|entry| entry["address"] == "127.0.0.1" && entry["at"].as_i64() > Some(1_700_000_000)));
    let actors = said(&log, "actor");
    assert!(actors.iter().all(|actor| actor.starts_with("key:")) && actors[0] == actors[1] && actors[1] != actors[2]);
    assert_eq!(actors[2], format!("key:{}", log[1]["target"].as_str().unwrap()));
    assert_eq!(entries(&admin, "").await, log, "a tenant's key reads its own");

    let page = operator.get("/audit?tenant=acme&limit=2").await.ok();
    assert_eq!(page["items"][0]["action"], "tenant.change", "newest first");
    let next = page["next_cursor"].as_str().unwrap();
    let rest = operator.get(&format!("/audit?tenant=acme&limit=2&cursor={next}")).await.ok();
    assert_eq!((&rest["items"][0]["action"], &rest["next_cursor"]), (&"tenant.create".into(), &Value::Null));
    assert_eq!(entries(&operator, "?tenant=acme&action=tenant.change").await.len(), 1);
    assert_eq!(entries(&operator, &format!("?tenant=acme&since={}", i64::from(u32::MAX))).await.len(), 0);
    for wrong in ["since=soon", "cursor=x", "limit=0", "until=5"] {
        operator.get(&format!("/audit?{wrong}")).await.refused(400, "REQUEST_INVALID");
    }
    admin.get("/audit?tenant=demo").await.refused(404, "NOT_FOUND");
    // Whoever sits at the machine is no key.
    on_database(&gateway, &["tenant", "suspend", "acme"]).run().await.ok();
    let last = entries(&operator, "?tenant=acme").await.pop().unwrap();
    assert_eq!(
        (&last["actor"], &last["action"], &last["address"]),
        (&"console".into(), &"tenant.suspend".into(), &Value::Null)
    );
}

#[tokio::test]
async fn what_a_key_was_refused_is_written_down_and_a_flood_of_it_is_not() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    for slug in ["acme", "other"] {
        operator.post("/tenants", &json!({"slug": slug})).await.status_is(201);
    }
    let before = entries(&operator, "?tenant=other").await;
    let reader = json!({"name": "reader", "tenant": "acme", "scopes": ["read"]});
    let reader = operator.with_key(operator.post("/admin-keys", &reader).await.json()["secret"].as_str().unwrap());
    let admin = operator.admin_of("acme").await;
    reader.post("/admin-keys", &json!({"name": "more"})).await.refused(403, "NOT_GRANTED");
    admin.post("/tenants", &json!({"slug": "mine"})).await.refused(403, "NOT_GRANTED");
    admin.patch("/tenants/other", &json!({"name": "Mine"})).await.refused(404, "NOT_FOUND");
    let log = entries(&admin, "").await;
    let refused: Vec<_> = log.iter().filter(|entry| entry["outcome"] == "refused").cloned().collect();
    assert_eq!(said(&refused, "action"), ["addAdminKey", "addTenant", "changeTenant"]);
    assert!(refused[0]["detail"].as_str().unwrap().contains("secrets"), "{}", refused[0]);
    assert_eq!(entries(&operator, "?tenant=other").await, before, "the other tenant is not told");

    for _ in 0..50 {
        admin.get("/tenants/other").await.refused(404, "NOT_FOUND");
    }
    let written = entries(&admin, "?limit=500").await.iter().filter(|entry| entry["outcome"] == "refused").count();
    assert_eq!(written, 1 + 20);
    assert!(gateway.log().matches("an operator's key was refused").count() > 50, "the log has all");
    // Nobody's attempts are in no table.
    operator.with_key("wxa_nobody").get("/tenants").await.refused(401, "ADMIN_KEY_INVALID");
    assert!(!entries(&operator, "").await.iter().any(|entry| entry["outcome"] == "refused"));
}

#[tokio::test]
async fn one_flipped_byte_is_found_by_command_and_by_name() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    for slug in ["acme", "other"] {
        operator.post("/tenants", &json!({"slug": slug})).await.status_is(201);
        operator.admin_of(slug).await;
    }
    let verify = on_database(&gateway, &["audit", "verify"]).run().await.ok();
    for line in ["installation: ", "tenant demo: ", "tenant acme: 2 entries", "tenant other: 2 entries"] {
        assert!(verify.contains(line), "{verify}");
    }
    assert!(verify.contains("no anchor"), "what is not proven is said: {verify}");

    // The last letter of one word becomes the next in the alphabet.
    let flip = "UPDATE audit_entry SET action = 'tenant.creatf' WHERE action = 'tenant.create' AND target = 'acme'";
    tamper(&gateway, flip).await;
    let found = on_database(&gateway, &["audit", "verify"]).run().await;
    assert_eq!(found.code, TAMPERED, "{}", found.stdout);
    assert!(found.stdout.contains("tenant acme: entry 1 was changed"), "{}", found.stdout);
    assert!(found.stdout.contains("tenant other: 2 entries"), "the others are told of too: {}", found.stdout);
    on_database(&gateway, &["audit", "verify", "--tenant", "other"]).run().await.ok();
    // The same through the running gateway.
    let verdict = operator.post("/audit/verify", &json!({"tenant": "acme"})).await.ok();
    assert_eq!((&verdict["whole"], &verdict["flaws"][0]["seq"]), (&false.into(), &1.into()));
    let remote =
        crate::harness::cli::wxgate(["audit", "verify", "--json", "--url", gateway.admin().base(), "--key-file"]);
    let remote = remote.argument(&gateway.data().join("admin-key").display().to_string()).run().await;
    assert_eq!(remote.code, TAMPERED, "{}", remote.stderr);
    let told: Value = serde_json::from_str(&remote.stdout).unwrap();
    assert_eq!(told.as_array().unwrap().iter().filter(|log| log["whole"] == false).count(), 1);
    let nowhere = on_database(&gateway, &["audit", "verify", "--tenant", "nobody"]).run().await;
    assert!(nowhere.code == 1 && nowhere.stderr.contains("there is no tenant nobody"), "{}", nowhere.stderr);
}

#[tokio::test]
async fn a_log_that_was_put_back_is_found_with_what_was_kept_elsewhere() {
    let mut gateway = Gateway::dev().env("WXGATE__AUDIT__CHECKPOINT_FILE", "checkpoints").await;
    let operator = gateway.operator();
    operator.post("/tenants", &json!({"slug": "acme"})).await.status_is(201);
    tamper(&gateway, "CREATE TABLE kept AS SELECT * FROM audit_chain").await;
    for _ in 0..3 {
        operator.admin_of("acme").await;
    }
    gateway.terminate().await;
    let file = gateway.folder().join("checkpoints");
    let (kept, log) = (std::fs::read_to_string(&file).unwrap(), gateway.log());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!((kept.lines().count() >= 2, mode & 0o777), (true, 0o600), "{kept}");
    let newest = kept.lines().last().unwrap();
    assert!(log.contains(newest), "the log has it too");
    std::fs::write(gateway.folder().join("copy.log"), &log).unwrap();
    for anchor in [&file, &gateway.folder().join("copy.log")] {
        let anchor = anchor.display().to_string();
        let proven = on_database(&gateway, &["audit", "verify", "--anchor", &anchor]).run().await.ok();
        assert!(proven.contains("tenant acme: 4 entries") && proven.contains("proves the first 4"), "{proven}");
    }

    let acme = "(SELECT id FROM tenant WHERE slug = CAST('acme' AS BLOB))";
    for statement in [
        format!("DELETE FROM audit_entry WHERE seq > 1 AND tenant_id = {acme}"),
        format!("DELETE FROM audit_chain WHERE tenant_id = {acme}"),
        format!("INSERT INTO audit_chain SELECT * FROM kept WHERE tenant_id = {acme}"),
        "DROP TABLE kept".to_owned(),
    ] {
        tamper(&gateway, &statement).await;
    }
    on_database(&gateway, &["audit", "verify"]).run().await.ok();
    let anchor = file.display().to_string();
    let found = on_database(&gateway, &["audit", "verify", "--anchor", &anchor]).run().await;
    assert_eq!(found.code, TAMPERED);
    assert!(found.stdout.contains("tenant acme: entry 4 is missing"), "{}", found.stdout);

    // All rows of a tenant, and the tenant: nobody removed it as operators do.
    for table in ["audit_entry", "audit_chain", "admin_key", "data_key", "signing_key"] {
        tamper(&gateway, &format!("DELETE FROM {table} WHERE tenant_id = {acme}")).await;
    }
    tamper(&gateway, "PRAGMA foreign_keys = OFF; DELETE FROM tenant WHERE slug = CAST('acme' AS BLOB)").await;
    let found = on_database(&gateway, &["audit", "verify", "--anchor", &anchor]).run().await;
    assert_eq!(found.code, TAMPERED);
    assert!(found.stdout.contains("entry 4 and all before it are gone"), "{}", found.stdout);

    let empty = gateway.folder().join("empty");
    std::fs::write(&empty, "nothing\n").unwrap();
    let told =
        on_database(&gateway, &["audit", "verify", "--anchor", &empty.display().to_string()]).run().await.failed();
    assert!(told.contains("holds no checkpoint"), "{told}");
}

#[tokio::test]
async fn the_log_of_a_tenant_that_was_removed_is_not_missed() {
    let mut gateway = Gateway::dev().env("WXGATE__AUDIT__CHECKPOINT_FILE", "checkpoints").await;
    let operator = gateway.operator();
    operator.post("/tenants", &json!({"slug": "acme"})).await.status_is(201);
    gateway.terminate().await;
    let anchor = gateway.folder().join("checkpoints").display().to_string();
    assert!(std::fs::read_to_string(&anchor).unwrap().lines().count() >= 2, "acme's is among them");
    for command in [&["tenant", "suspend", "acme"][..], &["tenant", "remove", "acme", "--yes"]] {
        on_database(&gateway, command).run().await.ok();
    }
    let told = on_database(&gateway, &["audit", "verify", "--anchor", &anchor]).run().await.ok();
    assert!(!told.contains("acme"), "{told}");

    // Who was removed stands in the installation's log for 400 days, so nobody is missed whose last checkpoint is older.
    let kept = std::fs::read_to_string(&anchor).unwrap();
    let mut parts: Vec<_> = kept.lines().next().unwrap().split('.').map(str::to_owned).collect();
    parts[1] = "01900000-0000-7000-8000-00000000abcd".to_owned();
    let at: i64 = parts[3].parse().unwrap();
    for (days_ago, code) in [(399, TAMPERED), (401, 0)] {
        parts[3] = (at - days_ago * 86_400_000).to_string();
        std::fs::write(&anchor, format!("{kept}{}\n", parts.join("."))).unwrap();
        let told = on_database(&gateway, &["audit", "verify", "--anchor", &anchor]).run().await;
        assert_eq!(told.code, code, "{days_ago}: {}", told.stdout);
    }
}

/// Security test 48.
#[tokio::test]
async fn no_secret_and_no_second_line_is_in_the_log() {
    const SECRET: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee77";
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let admin = operator.admin_of("demo").await;
    on_database(&gateway, &["app", "rotate-secret", "wx000000000000de01", "--secret-file", "-"])
        .stdin(SECRET)
        .run()
        .await
        .ok();
    let made =
        on_database(&gateway, &["service-client", "add", "--tenant", "demo", "orders", "--json"]).run().await.json();
    for name in ["x\r\n2026-01-01T00:00:00Z INFO forged", "x\u{2028}forged", "\u{1b}[2Jforged"] {
        let slug = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20");
        assert!(admin.get(&format!("/tenants/{slug}")).await.status >= 400);
        let request = admin.request(Method::GET, "/tenants").query(&[("cursor", name)]);
        admin.send(request).await.ok();
        let list = operator.request(Method::GET, "/audit").query(&[("tenant", "demo"), ("action", name)]);
        assert_eq!(operator.send(list).await.ok()["items"], json!([]));
    }
    let told = operator.get("/audit?tenant=demo&limit=500").await.ok().to_string();
    let rows = std::fs::read(gateway.data().join("wxgate.db")).unwrap();
    let rows = String::from_utf8_lossy(&rows).into_owned();
    for secret in [SECRET, &admin.key[4..], &operator.key[4..], made["secret"].as_str().unwrap()] {
        assert!(!told.contains(secret) && !rows.contains(secret) && !gateway.log().contains(secret), "{secret}");
    }
    assert!(told.contains("rotate-secret"), "{told}");
    assert!(!gateway.log().lines().any(|line| line.starts_with("2026-01-01")), "nobody writes a line of their own");
}
