//! Moving in and out: tables of users.

use serde_json::{Value, json};

use super::{FAILURE, refused};
use crate::harness::cli::wxgate;
use crate::harness::{APP, Gateway, OTHER_APP, jwt};

fn table(rows: &[&str]) -> String {
    [&["appid,openid,unionid,external_id,nickname"], rows].concat().join("\n") + "\n"
}

#[tokio::test]
async fn a_table_comes_in_by_both_doors_and_the_second_time_changes_nothing() {
    let gateway = Gateway::dev().await;
    let file = gateway.folder().join("users.csv");
    let path = file.display().to_string();
    let rows = [
        format!("{APP},oAda,uAda,42,Ada"),
        format!("{OTHER_APP},oAdaToo,uAda,42,"),
        format!("{APP},oEve,,43,\"E, ve\""),
    ];
    std::fs::write(&file, table(&rows.each_ref().map(String::as_str))).unwrap();
    let totals = |created, changed, unchanged| json!({ "created": created, "changed": changed, "unchanged": unchanged, "left_out": 0, "errors": [] });
    let import = ["user", "import", "--tenant", "demo", "--json", &path];
    assert_eq!(gateway.remote(import).run().await.json(), totals(2, 1, 0));
    assert_eq!(gateway.command(import).run().await.json(), totals(0, 0, 3));
    let again = gateway.command(["user", "import", "--tenant", "demo", &path, "--from-line", "4"]).run().await.ok();
    assert!(again.contains("1 were there already"), "{again}");

    let found =
        gateway.remote(["user", "find", "--tenant", "demo", "--external-id", "42", "--json"]).run().await.json();
    assert_eq!((&found[0]["nickname"], found[0]["identities"].as_array().unwrap().len()), (&json!("Ada"), 2));
    let issued = gateway.simulator().issue(&json!({ "appid": APP, "openid": "oAda", "unionid": "uAda" })).await;
    let login = gateway.client().login_with(APP, &issued.code).await.ok();
    assert_eq!((&login["user"]["id"], &login["user"]["is_new"]), (&found[0]["id"], &json!(false)));

    // What goes out comes in again elsewhere, or here.
    for (name, by_remote) in [("out.csv", true), ("out.jsonl", false)] {
        let out = gateway.folder().join(name).display().to_string();
        let export = ["user", "export", "--tenant", "demo", &out];
        if by_remote { gateway.remote(export) } else { gateway.command(export) }.run().await.ok();
        let told = refused(gateway.command(export).run().await, FAILURE);
        assert!(told.contains("exists"), "{told}");
        let import = ["user", "import", "--tenant", "demo", "--json", &out];
        assert_eq!(gateway.command(import).run().await.json(), totals(0, 0, 3), "{name}");
    }
    let shown = gateway.command(["user", "export", "--tenant", "demo"]).run().await.ok();
    assert!(shown.starts_with("user,status,appid,openid,unionid,external_id,nickname,created_at\n"), "{shown}");
    assert_eq!(shown.lines().count(), 4);
    assert_eq!(gateway.command(["user", "export", "--tenant", "demo", "-"]).run().await.ok(), shown);
}

#[tokio::test]
async fn one_table_is_about_several_tenants_if_an_operator_brings_it() {
    const NEW_APP: &str = "wxacme0000000001";
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    gateway.add_app("acme", NEW_APP, None).await;
    let rows = [format!("{APP},oAda,,42,"), format!("{NEW_APP},oEve,,42,"), format!("{APP},oBob,,,")];
    let file = gateway.folder().join("users.csv");
    let path = file.display().to_string();
    std::fs::write(&file, table(&rows.each_ref().map(String::as_str))).unwrap();

    // For the admin of a tenant there is but that.
    let key = gateway.folder().join("acme-key");
    std::fs::write(&key, &gateway.operator().admin_of("acme").await.key).unwrap();
    let own = wxgate(["user", "import", "--json", &path]).through(gateway.admin().base(), &key.display().to_string());
    let told = own.run().await;
    assert_eq!(told.code, FAILURE);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&told["created"], &told["errors"][1]["code"]), (&json!(1), &json!("app_unknown")), "{told}");

    let all = gateway.command(["user", "import", "--json", &path]).run().await.json();
    assert_eq!((&all["created"], &all["unchanged"], &all["left_out"]), (&json!(2), &json!(1), &json!(0)), "{all}");
    // An external id is a tenant's own: the same one is two people in two tenants.
    for (tenant, appid) in [("demo", APP), ("acme", NEW_APP)] {
        let find = ["user", "find", "--tenant", tenant, "--external-id", "42", "--json"];
        let found = gateway.command(find).run().await.json();
        assert_eq!(found[0]["identities"][0]["appid"], *appid, "{found}");
    }
}

#[tokio::test]
async fn a_line_that_does_not_fit_is_named_and_stops_no_other() {
    let gateway = Gateway::dev().await;
    let file = gateway.folder().join("users.csv");
    let path = file.display().to_string();
    let rows = [
        format!("{APP},oAda,uAda,42,"),
        format!("{APP},oBob,,42,"),
        format!("{APP},o b,,,"),
        "wx00000000000000ff,oC,,,".to_owned(),
        format!("{APP},oD"),
        format!("{APP},oAda,uOther,,"),
        format!("{APP},oLast,,44,"),
    ];
    std::fs::write(&file, table(&rows.each_ref().map(String::as_str))).unwrap();
    let output = gateway.remote(["user", "import", "--tenant", "demo", &path]).run().await;
    assert_eq!(output.code, FAILURE);
    assert!(output.stderr.contains("4 lines were left out"), "{}", output.stderr);
    for (line, code) in [(4, "malformed"), (5, "app_unknown"), (6, "malformed"), (7, "other_unionid")] {
        let told = output.stdout.lines().find(|told| told.starts_with(&format!("line {line}: ")));
        assert!(told.is_some_and(|told| told.contains(code)), "{line}: {}", output.stdout);
    }
    assert!(output.stdout.contains("2 users created, 1 rows added something"), "{}", output.stdout);

    std::fs::write(&file, "openid,unionId\noA,uA\n").unwrap();
    let told = refused(gateway.command(["user", "import", "--tenant", "demo", &path]).run().await, FAILURE);
    assert!(told.contains("unionId"), "{told}");
    let told = refused(gateway.command(["user", "import", "--tenant", "demo", "/no/such.csv"]).run().await, FAILURE);
    assert!(told.contains("/no/such.csv"), "{told}");
}

#[tokio::test]
async fn an_app_that_opts_in_gets_the_old_name_in_its_tokens() {
    let gateway = Gateway::dev().await;
    let rows = json!([{ "appid": APP, "openid": "oAda", "external_id": "built-in/ada" }]);
    let reply = gateway.operator().post("/users/import", &json!({ "tenant": "demo", "rows": rows })).await.ok();
    assert_eq!(reply["created"], 1);
    let log_in = async || {
        let issued = gateway.simulator().issue(&json!({ "appid": APP, "openid": "oAda" })).await;
        gateway.client().login_with(APP, &issued.code).await.ok()
    };
    let refresh = async |pair: &Value| {
        let token = json!({ "refresh_token": pair["refresh_token"] });
        gateway.client().post("/v1/token/refresh", &token).await.ok()
    };
    let claim = |pair: &Value| jwt::parts(&pair["access_token"]).1["external_id"].clone();
    let mut pair = log_in().await;
    assert_eq!(claim(&pair), json!(null));
    pair = refresh(&pair).await;
    assert_eq!(claim(&pair), json!(null));

    gateway.command(["app", "policy", APP, "--external-id-claim", "true"]).run().await.ok();
    // By refreshes: nobody logs in as often as this asks.
    crate::harness::within(std::time::Duration::from_secs(2), "the policy is heard of", async || {
        pair = refresh(&pair).await;
        (claim(&pair) == "built-in/ada").then_some(())
    })
    .await;
    assert_eq!(claim(&log_in().await), "built-in/ada");
}
