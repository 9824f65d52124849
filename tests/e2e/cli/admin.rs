//! Tenants, union groups and apps.

use serde_json::Value;

use super::{FAILURE, House, USAGE, contents, refused};

const SECRET: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee42";

#[tokio::test]
async fn a_tenant_is_made_once_and_listed() {
    let house = House::new();
    house.run(["migrate", "up"]).run().await.ok();
    assert_eq!(house.run(["tenant", "list", "--json"]).run().await.json(), serde_json::json!([]));

    let told = house.run(["tenant", "add", "acme", "--name", "Acme Ltd. 公司"]).run().await.ok();
    assert!(told.contains("wxgate app add --tenant acme"), "the next step is named: {told}");
    let rsa = house.run(["tenant", "add", "banks", "--algorithm", "RS256", "--json"]).run().await.json();
    assert_eq!((&rsa["slug"], &rsa["policy"]["algorithm"]), (&"banks".into(), &"RS256".into()));

    let again = refused(house.run(["tenant", "add", "acme"]).run().await, FAILURE);
    assert!(again.contains("acme exists already") && again.contains("never used again"), "{again}");
    for name in ["", "line\nbreak", &"x".repeat(201)] {
        refused(house.run(["tenant", "add", "other", "--name", name]).run().await, FAILURE);
    }

    let list = house.run(["tenant", "list", "--json"]).run().await.json();
    let slugs: Vec<_> = list.as_array().unwrap().iter().map(|tenant| tenant["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["acme", "banks"]);
    assert_eq!(list[0]["name"], "Acme Ltd. 公司");
    let table = house.run(["tenant", "list"]).run().await.ok();
    assert!(table.starts_with("TENANT ") && table.contains("Acme Ltd. 公司"), "{table}");
}

#[tokio::test]
async fn a_union_group_belongs_to_a_tenant() {
    let house = House::furnished().await;
    let group = house.run(["union-group", "add", "--tenant", "acme", "main", "--json"]).run().await.json();
    assert_eq!((&group["name"], &group["tenant"]), (&"main".into(), &"acme".into()));
    let again = refused(house.run(["union-group", "add", "--tenant", "acme", "main"]).run().await, FAILURE);
    assert!(again.contains("\"main\" already"), "{again}");
    let list = house.run(["union-group", "list", "--tenant", "acme", "--json"]).run().await.json();
    assert_eq!(list[0]["id"], group["id"]);
    for command in
        [["union-group", "add", "--tenant", "nobody", "x"], ["union-group", "list", "--tenant", "nobody", "--json"]]
    {
        let told = refused(house.run(command).run().await, FAILURE);
        assert!(told.contains("there is no tenant nobody") && told.contains("wxgate tenant list"), "{told}");
    }
}

#[tokio::test]
async fn an_app_comes_with_its_secret_by_three_ways() {
    let house = House::furnished().await;
    house.run(["union-group", "add", "--tenant", "acme", "main"]).run().await.ok();
    // Files and lines end with a newline, which is no part of the secret.
    house.write("secret.txt", &format!("{SECRET}\n"));
    let by_file = house
        .run([
            "app",
            "add",
            "--tenant",
            "acme",
            "--appid",
            "wxFile",
            "--secret-file",
            "secret.txt",
            "--name",
            "Shop",
            "--json",
        ])
        .run()
        .await
        .json();
    assert_eq!(
        (&by_file["appid"], &by_file["name"], &by_file["status"]),
        (&"wxFile".into(), &"Shop".into(), &"enabled".into())
    );
    let by_stdin =
        ["app", "add", "--tenant", "acme", "--appid", "wxStdin", "--union-group", "main", "--secret-file", "-"];
    house.run(by_stdin).stdin(SECRET).run().await.ok();
    house.run(["app", "add", "--tenant", "acme", "--appid", "wxEnv"]).env("WXGATE_APP_SECRET", SECRET).run().await.ok();

    let list = house.run(["app", "list", "--json"]).run().await.json();
    let appids: Vec<_> = list.as_array().unwrap().iter().map(|app| app["appid"].as_str().unwrap()).collect();
    assert_eq!(appids.len(), 3, "{list}");
    let in_group: Vec<_> = list.as_array().unwrap().iter().filter(|app| !app["union_group_id"].is_null()).collect();
    assert_eq!(in_group.len(), 1);
    assert_eq!(in_group[0]["appid"], "wxStdin");
    let table = house.run(["app", "list", "--tenant", "acme"]).run().await.ok();
    assert!(appids.iter().all(|appid| table.contains(appid)), "{table}");
}

#[tokio::test]
async fn an_app_that_cannot_be_is_not_added() {
    let house = House::furnished().await;
    house.run(["tenant", "add", "other"]).run().await.ok();
    let add =
        |tenant: &'static str| house.run(["app", "add", "--tenant", tenant, "--appid", "wx1", "--secret-file", "-"]);
    add("acme").stdin(SECRET).run().await.ok();

    // An appid is one mini-program, in whichever tenant.
    for tenant in ["acme", "other"] {
        let told = refused(add(tenant).stdin(SECRET).run().await, FAILURE);
        assert!(told.contains("the appid wx1 is registered already"), "{told}");
    }
    let told = refused(add("nobody").stdin(SECRET).run().await, FAILURE);
    assert!(told.contains("there is no tenant nobody"), "{told}");
    let grouped =
        house.run(["app", "add", "--tenant", "acme", "--appid", "wx2", "--union-group", "none", "--secret-file", "-"]);
    let told = refused(grouped.stdin(SECRET).run().await, FAILURE);
    assert!(told.contains("no union group \"none\"") && told.contains("wxgate union-group list"), "{told}");

    let bare = ["app", "add", "--tenant", "acme", "--appid", "wx2"];
    let told = refused(house.run(bare).run().await, FAILURE);
    assert!(told.contains("--secret-file") && told.contains("WXGATE_APP_SECRET"), "{told}");
    for wrong in ["", "\n", "two words", &"x".repeat(129), "geheimnisvölliges"] {
        let told = refused(house.run(bare).argument("--secret-file").argument("-").stdin(wrong).run().await, FAILURE);
        assert!(wrong.trim().is_empty() || !told.contains(wrong), "{told}");
    }
    let told = refused(house.run(bare).argument("--secret-file").argument("nowhere.txt").run().await, FAILURE);
    assert!(told.contains("nowhere.txt"), "{told}");
    let typed = refused(house.run(bare).argument("--secret").argument(SECRET).run().await, USAGE);
    assert!(!typed.contains(SECRET), "{typed}");
    assert_eq!(house.run(["app", "list", "--json"]).run().await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_app_is_disabled_enabled_and_given_a_new_secret() {
    let house = House::furnished().await;
    let add = house.run(["app", "add", "--tenant", "acme", "--appid", "wx1", "--secret-file", "-"]);
    add.stdin(SECRET).run().await.ok();
    let status = |list: Value| list[0]["status"].clone();
    for (command, expected) in [("disable", "disabled"), ("disable", "disabled"), ("enable", "enabled")] {
        let app = house.run(["app", command, "wx1", "--json"]).run().await.json();
        assert_eq!(app["status"], expected);
        assert_eq!(status(house.run(["app", "list", "--json"]).run().await.json()), expected);
    }
    let told = house.run(["app", "rotate-secret", "wx1", "--secret-file", "-"]).stdin("another5ec2e7").run().await.ok();
    assert!(told.contains("wx1"), "{told}");
    for command in ["disable", "enable"] {
        let told = refused(house.run(["app", command, "wx9"]).run().await, FAILURE);
        assert!(told.contains("there is no app wx9") && told.contains("wxgate app list"), "{told}");
    }
    refused(house.run(["app", "rotate-secret", "wx9", "--secret-file", "-"]).stdin(SECRET).run().await, FAILURE);
}

#[tokio::test]
async fn no_secret_is_ever_printed_or_stored_as_it_is() {
    const NEW: &str = "f00df00d5ec2e7f00df00d5ec2e7f00d";
    let house = House::furnished().await;
    let mut shown = String::new();
    let add = house.run(["app", "add", "--tenant", "acme", "--appid", "wx1", "--secret-file", "-", "--json"]);
    shown += &add.stdin(SECRET).run().await.ok();
    shown += &house.run(["app", "rotate-secret", "wx1", "--secret-file", "-"]).stdin(NEW).run().await.ok();
    for command in
        [&["app", "list"][..], &["app", "list", "--json"], &["tenant", "list", "--json"], &["config", "print"]]
    {
        let run = command.iter().fold(house.run([]), |run, argument| run.argument(argument));
        let output = run.env("WXGATE__LOG__LEVEL", "trace").env("WXGATE_APP_SECRET", SECRET).run().await;
        shown += &output.stderr;
        shown += &output.ok();
    }
    let help = house.run(["app", "add", "--help"]).env("WXGATE_APP_SECRET", SECRET).run().await.ok();
    let stored = contents(&house.path("data"));
    assert!(stored.len() > 10_000);
    for secret in [SECRET, NEW] {
        assert!(!shown.contains(secret) && !help.contains(secret));
        assert!(!stored.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
