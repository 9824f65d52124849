//! What is set up, as one file: written, changed, brought about again.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::cli::{Cli, Output, wxgate};
use crate::harness::{APP, Gateway, Receiver};

/// A tenant with one of everything. The secret stands beside the file.
const ACME: &str = r#"
[[tenants]]
slug = "acme"
name = "Acme Ltd."
union_groups = ["main"]
audiences = ["orders-api"]
policy = { access_token_seconds = 600 }

[[tenants.webhooks]]
name = "erasures"
url = "https://orders.acme.example/wxgate"
events = ["user.erased", "user.merged"]

[[tenants.apps]]
appid = "wxacme0000000001"
name = "Shop"
union_group = "main"
secret = { file = "shop.secret" }
policy = { audiences = ["orders-api", "wxacme0000000002"], scopes = ["user", "orders:read"] }

[[tenants.apps]]
appid = "wxacme0000000002"
secret = { env = "SECOND_SECRET" }

[[tenants.forward_auth]]
name = "orders"
audience = "orders-api"
scopes = ["orders:read"]

[[tenants.service_clients]]
name = "orders"
policy = { audiences = ["orders-api"], introspect = true }
"#;

/// Exactly what WeChat knows of the two apps.
const SECRETS: [(&str, &str); 2] = [
    ("wxacme0000000001", "5ec2e700000000000000000000000001"),
    ("wxacme0000000002", "5ec2e700000000000000000000000002"),
];

/// A gateway whose WeChat knows the apps, and a folder for files.
async fn gateway() -> Gateway {
    let gateway = Gateway::dev().await;
    for (appid, secret) in SECRETS {
        gateway.simulator().put_app(appid, secret, None).await;
    }
    std::fs::write(gateway.folder().join("shop.secret"), format!("{}\n", SECRETS[0].1)).unwrap();
    gateway
}

fn write(gateway: &Gateway, text: &str) -> PathBuf {
    let path = gateway.folder().join("state.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// `wxgate apply` with a file of this text.
async fn apply(gateway: &Gateway, text: &str, options: &[&str]) -> Output {
    let path = write(gateway, text).display().to_string();
    let run = wxgate(["apply", &path]).config(&gateway.config()).env("SECOND_SECRET", SECRETS[1].1);
    let run = knowing_wechat(gateway, run);
    options.iter().fold(run, |run, option| run.argument(option)).run().await
}

/// A command on the database asks WeChat itself.
fn knowing_wechat(gateway: &Gateway, run: Cli) -> Cli {
    run.env("WXGATE__WECHAT__URL", gateway.simulator().url()).env("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true")
}

async fn export(gateway: &Gateway, options: &[&str]) -> String {
    let run = wxgate(["export"]).config(&gateway.config());
    options.iter().fold(run, |run, option| run.argument(option)).run().await.ok()
}

async fn there_is_no_acme(gateway: &Gateway) {
    let told = gateway.command(["tenant", "show", "acme"]).run().await.failed();
    assert!(told.contains("there is no tenant acme"), "{told}");
}

fn verbs(told: &Value) -> Vec<(&str, &str)> {
    let plan = told["plan"].as_array().unwrap().iter();
    plan.map(|step| (step["verb"].as_str().unwrap(), step["name"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_file_is_brought_about_once_and_then_there_is_nothing_to_do() {
    let gateway = gateway().await;
    let plan = apply(&gateway, ACME, &["--dry-run"]).await.ok();
    for line in ["+ create tenant acme", "+ create app wxacme0000000001 of tenant acme", "8 to create", "a dry run"] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    there_is_no_acme(&gateway).await;

    let told = apply(&gateway, ACME, &["--json"]).await.json();
    assert!(verbs(&told).iter().all(|(verb, _)| *verb == "create"), "{told}");
    let secret = told["service_clients"][0]["secret"].as_str().unwrap();
    assert!(secret.starts_with("wxs_"), "{told}");
    assert!(told["webhooks"][0]["secret"].as_str().unwrap().starts_with("whsec_"), "{told}");
    for (appid, secret) in SECRETS {
        assert!(!told.to_string().contains(secret));
        gateway.comes_to_answer(appid, "CODE_INVALID").await;
        let code = gateway.simulator().code(appid).await.code;
        let login = gateway.client().login_with(appid, &code).await.ok();
        let scope = if appid == SECRETS[0].0 { "user orders:read" } else { "user" };
        assert_eq!(login["scope"], scope);
    }

    let again = apply(&gateway, ACME, &[]).await.ok();
    assert!(again.contains("nothing to do") && again.contains("8 as they are"), "{again}");
    let log = gateway.command(["audit", "list", "--tenant", "acme", "--json"]).run().await.json();
    let actions: Vec<_> = log.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"tenant.create") && actions.contains(&"service-client.create"), "{actions:?}");
}

#[tokio::test]
async fn an_export_is_a_file_that_changes_nothing_and_holds_no_secret() {
    let gateway = gateway().await;
    apply(&gateway, ACME, &[]).await.ok();
    let file = export(&gateway, &[]).await;
    for name in ["acme", "demo", "wxacme0000000001", APP, "orders-api", "orders:read", "user.erased"] {
        assert!(file.contains(name), "{name}: {file}");
    }
    assert!(!file.contains("5ec2e7") && !file.contains("wxs_") && !file.contains("whsec_"), "{file}");
    let told = apply(&gateway, &file, &["--json", "--prune"]).await.json();
    assert!(verbs(&told).iter().all(|(verb, _)| *verb == "keep"), "{told}");

    let one = export(&gateway, &["--tenant", "acme"]).await;
    assert!(one.contains("wxacme0000000001") && !one.contains("demo"), "{one}");
    // The admin API tells the same.
    let state = gateway.operator().get("/state?tenant=acme").await.ok();
    assert_eq!(state["tenants"][0]["apps"][0]["policy"]["scopes"], json!(["user", "orders:read"]));
    assert!(state["tenants"][0]["apps"][0].get("secret").is_none(), "{state}");
}

#[tokio::test]
async fn what_the_file_does_not_name_goes_only_when_asked_and_confirmed() {
    let gateway = gateway().await;
    apply(&gateway, ACME, &[]).await.ok();
    let smaller = ACME.split("[[tenants.forward_auth]]").next().unwrap().replace("\"Shop\"", "\"Corner shop\"");

    let told = apply(&gateway, &smaller, &["--json"]).await.json();
    let of = |verb| verbs(&told).into_iter().filter(|(is, _)| *is == verb).map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!((of("change"), of("ignore")), (vec!["wxacme0000000001"], vec!["orders", "orders"]));

    let refused = apply(&gateway, &smaller, &["--prune"]).await.failed();
    assert!(refused.contains("2 things are removed for good") && refused.contains("--yes"), "{refused}");
    assert_eq!(gateway.command(["policy", "list", "--json"]).run().await.json().as_array().unwrap().len(), 1);
    apply(&gateway, &smaller, &["--prune", "--yes"]).await.ok();
    assert_eq!(gateway.command(["policy", "list", "--json"]).run().await.json(), json!([]));
    let list = ["service-client", "list", "--tenant", "acme", "--json"];
    assert_eq!(gateway.command(list).run().await.json(), json!([]));

    // An app goes with its identities.
    let without = smaller.split("[[tenants.apps]]").next().unwrap();
    apply(&gateway, without, &["--prune", "--yes"]).await.ok();
    gateway.comes_to_answer(SECRETS[0].0, "APP_UNKNOWN").await;
    let file = export(&gateway, &["--tenant", "acme"]).await;
    assert!(!file.contains("wxacme"), "{file}");
    gateway.comes_to_answer(APP, "CODE_INVALID").await;
}

#[tokio::test]
async fn what_goes_is_gone_also_when_no_gateway_runs() {
    let mut gateway = gateway().await;
    apply(&gateway, ACME, &[]).await.ok();
    let people = gateway.folder().join("people.csv");
    let shop = SECRETS[0].0;
    std::fs::write(&people, format!("appid,openid,unionid\n{shop},oAda,uAda\n{shop},oBob,uBob\n")).unwrap();
    gateway.command(["user", "import", "--tenant", "acme", &people.display().to_string()]).run().await.ok();
    gateway.terminate().await;

    // Users of an app that is bound to another group are joined to that.
    gateway.command(["union-group", "add", "--tenant", "acme", "shops"]).run().await.ok();
    let moved = gateway.command(["app", "policy", shop, "--union-group", "shops"]).run().await.ok();
    assert!(moved.contains("union_join: done, 2 of 2"), "{moved}");

    let without = ACME.split("[[tenants.apps]]").next().unwrap().replace("[\"main\"]", "[\"main\", \"shops\"]");
    let told = apply(&gateway, &without, &["--prune", "--yes"]).await.ok();
    assert!(told.contains(&format!("app {shop}: removed, 2 account(s)")), "{told}");
    let jobs = gateway.command(["job", "list", "--tenant", "acme", "--json"]).run().await.json();
    let jobs = jobs.as_array().unwrap();
    assert!(jobs.len() == 3 && jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
    gateway.command(["app", "show", shop]).run().await.failed();
    assert!(apply(&gateway, &without, &["--prune"]).await.ok().contains("nothing to do"));
}

/// The demo tenant with one webhook, whose secret stands in the file `hook.secret`.
fn with_webhook(url: &str, more: &str) -> String {
    let hook = format!("[[tenants.webhooks]]\nname = \"people\"\nurl = \"{url}\"\n{more}\n");
    format!("[[tenants]]\nslug = \"demo\"\n{hook}secret = {{ file = \"hook.secret\" }}\n")
}

/// Somebody new, of whom a webhook is told.
async fn log_in(gateway: &Gateway) {
    let code = gateway.simulator().code(APP).await.code;
    gateway.client().login_with(APP, &code).await.ok();
}

#[tokio::test]
async fn a_webhook_has_the_secret_that_stands_beside_the_file() {
    let gateway = Gateway::dev().env("WXGATE__WEBHOOKS__ALLOW_NETWORKS", "127.0.0.0/8").await;
    let receiver = Receiver::start().await;
    let beside = gateway.folder().join("hook.secret");
    let [first, second] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="];
    std::fs::write(&beside, format!("{first}\n")).unwrap();
    let file = with_webhook(&receiver.url(), "events = [\"user.created\"]");
    let told = apply(&gateway, &file, &["--json"]).await.json();
    assert!(verbs(&told).contains(&("create", "people")) && !told.to_string().contains("whsec_"), "{told}");
    log_in(&gateway).await;
    receiver.taken(1).await[0].is_signed_with(&[first]);
    assert!(apply(&gateway, &file, &[]).await.ok().contains("nothing to do"));

    // Another one counts beside the one before.
    std::fs::write(&beside, second).unwrap();
    let plan = apply(&gateway, &file, &["--dry-run"]).await.ok();
    assert!(plan.contains("~ change webhook secret people of tenant demo"), "{plan}");
    apply(&gateway, &file, &[]).await.ok();
    log_in(&gateway).await;
    receiver.taken(2).await[1].is_signed_with(&[second, first]);

    let off = with_webhook(&receiver.url(), "events = [\"user.created\"]\ndisabled = true");
    assert!(apply(&gateway, &off, &[]).await.ok().contains("~ change webhook people"));
    let exported = export(&gateway, &["--tenant", "demo"]).await;
    assert!(exported.contains("disabled = true") && !exported.contains("whsec_"), "{exported}");

    // What is no secret, or no kind of event, is told with its place and not repeated.
    std::fs::write(&beside, "whsec_canary").unwrap();
    let told = apply(&gateway, &file, &[]).await.failed();
    assert!(told.contains("demo.webhooks.people.secret: ") && !told.contains("canary"), "{told}");
    let told = apply(&gateway, &with_webhook("https://a.example/", "events = [\"user.eaten\"]"), &[]).await.failed();
    assert!(told.contains("tenants[0] (demo).webhooks[0] (people): events"), "{told}");

    let none = "[[tenants]]\nslug = \"demo\"\n";
    let told = apply(&gateway, none, &["--json"]).await.json();
    assert!(verbs(&told).contains(&("ignore", "people")), "{told}");
    // Everything else of the tenant is named, and stays.
    let file = exported.split("[[tenants.webhooks]]").next().unwrap();
    let told = apply(&gateway, file, &["--json", "--prune", "--yes"]).await.json();
    assert!(verbs(&told).contains(&("remove", "people")), "{told}");
    let left = gateway.operator().get("/webhooks?tenant=demo").await.ok();
    assert_eq!(left["items"], json!([]));
}

#[tokio::test]
async fn a_file_says_how_pushes_are_taken_and_what_is_made_for_them_is_told_once() {
    let gateway = gateway().await;
    let shop = SECRETS[0].0;
    let file = |push: &str| {
        let app = format!("[[tenants.apps]]\nappid = \"{shop}\"\nsecret = {{ file = \"shop.secret\" }}\n");
        format!("[[tenants]]\nslug = \"acme\"\n{app}{push}")
    };
    let told = apply(&gateway, &file("push = {}"), &["--json"]).await.json();
    let made = &told["pushes"][0];
    let (token, key) = (made["token"].as_str().unwrap(), made["encoding_aes_key"].as_str().unwrap());
    assert_eq!((&made["appid"], token.len(), key.len()), (&json!(shop), 32, 43));
    assert!(apply(&gateway, &file("push = {}"), &[]).await.ok().contains("nothing to do"));
    let exported = export(&gateway, &["--tenant", "acme"]).await;
    assert!(exported.contains("mode = \"safe\"") && !exported.contains(token) && !exported.contains(key), "{exported}");
    assert!(apply(&gateway, &exported, &["--prune"]).await.ok().contains("nothing to do"));

    // Of one's own: it counts beside the one before, until WeChat's console has it.
    std::fs::write(gateway.folder().join("push.token"), "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n").unwrap();
    let own = file("push = { mode = \"compatible\", token = { file = \"push.token\" } }");
    let told_of_push = || gateway.command(["app", "push", "show", shop, "--json"]).run();
    let before = told_of_push().await.json();
    let plan = apply(&gateway, &own, &[]).await.ok();
    assert!(plan.contains("~ change push wx") && plan.contains("~ change push secrets wx"), "{plan}");
    let after = told_of_push().await.json();
    assert_eq!(
        (&after["mode"], &after["previous_token_fingerprint"]),
        (&json!("compatible"), &before["token_fingerprint"])
    );
    assert_eq!(after["key_fingerprint"], before["key_fingerprint"]);
    assert!(apply(&gateway, &own, &[]).await.ok().contains("nothing to do"));

    // What could be guessed is refused with its place, and not repeated.
    std::fs::write(gateway.folder().join("push.token"), "canary").unwrap();
    let told = apply(&gateway, &own, &[]).await.failed();
    assert!(told.contains(&format!("acme.apps.{shop}.push.token: ")) && !told.contains("canary"), "{told}");

    let told = apply(&gateway, &file(""), &["--json"]).await.json();
    assert!(verbs(&told).contains(&("ignore", shop)), "{told}");
    apply(&gateway, &file(""), &["--prune", "--yes"]).await.ok();
    told_of_push().await.failed();
    assert!(apply(&gateway, &file(""), &["--prune"]).await.ok().contains("nothing to do"));
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_with_its_place_and_nothing_is_done() {
    let gateway = gateway().await;
    let text = r#"
extra = 1
[[tenants]]
slug = "Acme Ltd"
[[tenants.apps]]
appid = "wx1"
secret = "in the open"
[[tenants.apps]]
appid = "wx2"
secret = { file = "missing" }
polcy = {}
[[tenants]]
slug = "other"
policy = { max_sessions = "many" }
"#;
    let told = apply(&gateway, text, &[]).await.failed();
    for problem in [
        "extra: unknown",
        "tenants[0] (Acme Ltd): slug: ",
        "tenants[0] (Acme Ltd).apps[0] (wx1).secret: must be { file",
        "tenants[0] (Acme Ltd).apps[1] (wx2).secret: ",
        "tenants[0] (Acme Ltd).apps[1] (wx2): polcy: unknown field",
        "tenants[1] (other): policy.max_sessions: invalid type",
    ] {
        assert!(told.contains(problem), "{problem}:\n{told}");
    }
    assert!(!told.contains("in the open"), "{told}");

    // What can be read of such a file is looked at all the same.
    let text = r#"
[[tenants]]
slug = "acme"
name = ""
[[tenants.apps]]
appid = "bad appid"
[[tenants.apps]]
appid = "wx1"
policy = { logins_per_minute = 0 }
"#;
    let told = apply(&gateway, text, &[]).await.failed();
    for problem in [
        "tenants[0] (acme).apps[0] (bad appid): appid: ",
        "acme.name: ",
        "acme.apps.wx1.policy: ",
        "acme.apps.wx1: a new app needs its secret",
    ] {
        assert!(told.contains(problem), "{problem}:\n{told}");
    }

    // Well written, and wrong all the same.
    let text = r#"
[[tenants]]
slug = "acme"
policy = { max_sessions = 1000, audit_days = 1 }
[[tenants.apps]]
appid = "wx1"
union_group = "nowhere"
[[tenants.apps]]
appid = "wx000000000000de01"
[[tenants.forward_auth]]
name = "orders"
audience = "not-ours"
"#;
    let told = apply(&gateway, text, &[]).await.failed();
    for problem in [
        "acme.policy: max_sessions must be 1 to 100; audit_days must be",
        "acme.apps.wx1: a new app needs its secret",
        "acme.apps.wx1.union_group: ",
        "acme.apps.wx000000000000de01: another tenant has this appid",
        "acme.forward_auth.orders.audience: the tenant does not own the audience not-ours",
    ] {
        assert!(told.contains(problem), "{problem}:\n{told}");
    }
    there_is_no_acme(&gateway).await;
}

#[tokio::test]
async fn one_thing_that_fails_undoes_all_of_it() {
    let gateway = gateway().await;
    // WeChat refuses the second app's secret, so not even the tenant is made.
    let path = write(&gateway, ACME).display().to_string();
    let run = wxgate(["apply", &path]).config(&gateway.config()).env("SECOND_SECRET", "not-the-secret");
    let told = knowing_wechat(&gateway, run).run().await.failed();
    assert!(
        told.contains("acme.apps.wxacme0000000002.secret: WeChat refuses") && !told.contains("not-the-secret"),
        "{told}"
    );
    there_is_no_acme(&gateway).await;

    // Or in the middle of the transaction: an appid that WeChat has not proved yet is nobody's audience.
    let run = wxgate(["apply", &path]).config(&gateway.config()).env("SECOND_SECRET", SECRETS[1].1);
    let told = run.env("WXGATE__WECHAT__URL", "http://127.0.0.1:9").env("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true");
    let told = told.run().await.failed();
    assert!(told.contains("acme.apps.wxacme0000000001: it names an audience that is not the tenant's"), "{told}");
    there_is_no_acme(&gateway).await;
}

#[tokio::test]
async fn an_agency_with_hundreds_of_apps_is_one_file_for_a_running_gateway() {
    let gateway = Gateway::dev().await;
    let app =
        |n: usize| format!("[[tenants.apps]]\nappid = \"wxagency{n:08}\"\nsecret = {{ file = \"shop.secret\" }}\n");
    let apps: String = (0..300).map(app).collect();
    std::fs::write(gateway.folder().join("shop.secret"), SECRETS[0].1).unwrap();
    let path = write(&gateway, &format!("[[tenants]]\nslug = \"agency\"\n{apps}")).display().to_string();
    let told = gateway.remote(["apply", &path, "--json"]).run().await.json();
    assert_eq!((verbs(&told).len(), &told["applied"]), (301, &true.into()));
    let again = gateway.remote(["apply", &path]).run().await.ok();
    assert!(again.contains("nothing to do") && again.contains("301 as they are"), "{again}");
    gateway.comes_to_answer("wxagency00000299", "CODE_INVALID").await;

    let operator = gateway.operator();
    let post =
        async |length: usize| operator.post("/state/apply", &json!({"tenants": [], "more": "x".repeat(length)})).await;
    post(4 * 1024 * 1024).await.refused(413, "BODY_TOO_LARGE");
    post(3 * 1024 * 1024).await.refused(400, "REQUEST_INVALID");
}

#[tokio::test]
async fn a_running_gateway_takes_the_same_file_and_only_from_an_operator() {
    let gateway = gateway().await;
    let (url, key) = (gateway.admin().base().to_owned(), gateway.data().join("admin-key").display().to_string());
    let path = write(&gateway, ACME).display().to_string();
    let remote = |arguments: &[&str]| {
        let door = ["--url", &url, "--key-file", &key];
        wxgate(arguments.iter().chain(&door).map(|text| (*text).to_owned()).collect::<Vec<_>>())
            .env("SECOND_SECRET", SECRETS[1].1)
    };
    let told = remote(&["apply", &path, "--json"]).run().await.json();
    assert_eq!(told["applied"], true);
    assert!(remote(&["apply", &path]).run().await.ok().contains("nothing to do"));
    let file = remote(&["export", "--tenant", "acme"]).run().await.ok();
    assert_eq!(file, export(&gateway, &["--tenant", "acme"]).await);

    let admin = gateway.operator().admin_of("acme").await;
    let state = json!({"tenants": [{"slug": "acme"}]});
    admin.post("/state/apply", &state).await.refused(403, "NOT_GRANTED");
    let own = admin.get("/state").await.ok();
    assert_eq!(own["tenants"].as_array().unwrap().len(), 1);
    admin.send(admin.request(Method::GET, "/state?tenant=demo")).await.refused(404, "NOT_FOUND");
}
