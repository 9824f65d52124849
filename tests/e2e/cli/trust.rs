//! Whom a tenant trusts: audiences, service clients, forward-auth policies.

use serde_json::{Value, json};

use super::{FAILURE, House, USAGE, contents, refused};

const SECRET: &str = "c0ffee5ec2e7c0ffee5ec2e7c0ffee42";

/// Two tenants with an app and an audience each.
async fn two_tenants() -> House {
    let wechat = ["wx1", "wx9"].map(|appid| format!("{appid}={SECRET}"));
    let house = House::with_wechat(&wechat.each_ref().map(String::as_str)).await;
    house.run(["tenant", "add", "other"]).run().await.ok();
    for (tenant, appid, audience) in [("acme", "wx1", "orders"), ("other", "wx9", "theirs")] {
        let add = house.run(["app", "add", "--tenant", tenant, "--appid", appid, "--secret-file", "-"]);
        add.stdin(SECRET).run().await.ok();
        house.run(["audience", "add", "--tenant", tenant, audience]).run().await.ok();
    }
    house
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_audience_is_one_tenant_s_and_never_an_issuer() {
    let house = two_tenants().await;
    let added = house.run(["audience", "add", "--tenant", "acme", "https://api.example.com/v1", "--json"]);
    let added = added.run().await.json();
    assert_eq!((&added["name"], &added["tenant"]), (&json!("https://api.example.com/v1"), &json!("acme")));
    for (tenant, taken) in [("acme", "orders"), ("other", "orders"), ("other", "wx1")] {
        let told = refused(house.run(["audience", "add", "--tenant", tenant, taken]).run().await, FAILURE);
        assert!(told.contains(&format!("the audience {taken} is taken")), "{told}");
    }
    // The reverse way round is closed too.
    let add = house.run(["app", "add", "--tenant", "other", "--appid", "orders", "--secret-file", "-"]);
    let told = refused(add.stdin(SECRET).run().await, FAILURE);
    assert!(told.contains("the appid orders is registered already"), "{told}");
    for wrong in ["", "two words", "https://login.example.com/t/acme", "https://elsewhere.example/t/acme/"] {
        refused(house.run(["audience", "add", "--tenant", "acme", wrong]).run().await, USAGE);
    }
    let told = refused(house.run(["audience", "add", "--tenant", "nobody", "x"]).run().await, FAILURE);
    assert!(told.contains("there is no tenant nobody"), "{told}");

    let of_acme = house.run(["audience", "list", "--tenant", "acme", "--json"]).run().await.json();
    assert_eq!(names(&of_acme), ["https://api.example.com/v1", "orders"]);
    let all = house.run(["audience", "list", "--json"]).run().await.json();
    assert_eq!(names(&all), ["https://api.example.com/v1", "orders", "theirs"]);
    let table = house.run(["audience", "list"]).run().await.ok();
    assert!(table.starts_with("AUDIENCE ") && table.contains("theirs"), "{table}");
}

#[tokio::test]
async fn a_service_client_s_secret_is_shown_once_and_stored_nowhere() {
    let house = two_tenants().await;
    let add = house.run(["service-client", "add", "--tenant", "acme", "Orders", "--audience", "orders", "--json"]);
    let options = ["--scope", "a", "--scope", "b", "--exchange-to", "wx1", "--introspect", "--address", "10.1.2.3/8"];
    let added = options.iter().fold(add, |run, option| run.argument(option)).run().await.json();
    let (id, first) = (added["id"].as_str().unwrap(), added["secret"].as_str().unwrap());
    assert!(id.starts_with("svc_") && id.len() == 26, "{id}");
    assert!(first.starts_with("wxs_") && first.len() == 47, "{} characters", first.len());
    let policy = json!({
        "version": 1, "audiences": ["orders"], "scopes": ["a", "b"], "exchange_to": ["wx1"], "introspect": true,
        "feed": false, "access_tokens": [], "addresses": ["10.0.0.0/8"],
    });
    assert_eq!((&added["tenant"], &added["policy"]), (&json!("acme"), &policy));
    let text = house.run(["service-client", "add", "--tenant", "acme", "Second"]).run().await.ok();
    let second = text.lines().find_map(|line| line.strip_prefix("secret  ")).unwrap();
    assert!(text.contains("never shown again"), "{text}");

    let rotated = house.run(["service-client", "rotate", id, "--json"]).run().await.json();
    let third = rotated["secret"].as_str().unwrap();
    assert_eq!(rotated["id"], id);
    assert!(third != first && rotated["previous_until"].is_i64(), "{rotated}");
    let now = house.run(["service-client", "rotate", id, "--overlap-hours", "0", "--json"]).run().await.json();
    assert!(now["secret"].as_str().is_some_and(|secret| secret != third));

    let list = house.run(["service-client", "list", "--json"]).run().await.json();
    assert_eq!(names(&list), ["Orders", "Second"]);
    assert_eq!(list[0]["policy"], policy, "a rotation changes the secret alone");
    let table = house.run(["service-client", "list", "--tenant", "acme"]).run().await.ok();
    assert!(table.contains(id) && table.contains("introspect"), "{table}");
    let of_other = house.run(["service-client", "list", "--tenant", "other", "--json"]).run().await.json();
    assert_eq!(of_other, json!([]));
    let stored = contents(&house.path("data"));
    for secret in [first, second, third] {
        assert!(!list.to_string().contains(secret) && !table.contains(secret));
        let random = secret.strip_prefix("wxs_").unwrap();
        assert!(!stored.windows(random.len()).any(|window| window == random.as_bytes()), "a secret is on the disk");
    }

    let removed = house.run(["service-client", "remove", id, "--yes"]).run().await.ok();
    assert!(removed.contains("\"Orders\" of tenant acme removed"), "{removed}");
    for command in ["remove", "rotate"] {
        let told = refused(house.run(["service-client", command, id]).run().await, FAILURE);
        assert!(told.contains(&format!("no service client {id}")) && told.contains("list"), "{told}");
    }
    // Its name is free again.
    house.run(["service-client", "add", "--tenant", "acme", "Orders"]).run().await.ok();
}

#[tokio::test]
async fn a_service_client_that_cannot_be_is_not_added() {
    let house = two_tenants().await;
    let add = |options: &[&str]| {
        let run = house.run(["service-client", "add", "--tenant", "acme"]);
        options.iter().fold(run, |run, option| run.argument(option))
    };
    for foreign in ["theirs", "wx9", "nobodys"] {
        for option in ["--audience", "--exchange-to"] {
            let told = refused(add(&["x", option, foreign]).run().await, FAILURE);
            assert!(told.contains(&format!("does not own the audience {foreign}")), "{told}");
        }
    }
    add(&["Orders"]).run().await.ok();
    let told = refused(add(&["Orders"]).run().await, FAILURE);
    assert!(told.contains("has a service client \"Orders\" already"), "{told}");
    let told = refused(add(&["x", "--scope", "a", "--scope", "a"]).run().await, FAILURE);
    assert!(told.contains("scopes must be at most 20"), "{told}");
    for wrong in [
        &["x", "--scope", "a b"][..],
        &["x", "--address", "10.0.0.0/99"],
        &["x", "--address", "example.com"],
        &["x", "--audience", "https://h/t/acme"],
    ] {
        refused(add(wrong).run().await, USAGE);
    }
    refused(add(&["line\nbreak"]).run().await, FAILURE);
    for wrong in ["nonsense", "svc_short", "SVC_5r0GQk1mVnW8xk2bNf3tZA"] {
        let told = refused(house.run(["service-client", "rotate", wrong]).run().await, USAGE);
        assert!(told.contains("svc_ and 22"), "{told}");
    }
    let week = ["service-client", "rotate", "svc_5r0GQk1mVnW8xk2bNf3tZA", "--overlap-hours", "169"];
    refused(house.run(week).run().await, USAGE);
    assert_eq!(names(&house.run(["service-client", "list", "--json"]).run().await.json()), ["Orders"]);
}

#[tokio::test]
async fn a_forward_auth_policy_asks_for_an_audience_of_its_tenant() {
    let house = two_tenants().await;
    let add = ["policy", "add", "--tenant", "acme", "shop", "--audience", "orders", "--scope", "a", "--scope", "b"];
    let added = house.run(add).argument("--json").run().await.json();
    assert_eq!(
        (&added["name"], &added["tenant"], &added["audience"]),
        (&json!("shop"), &json!("acme"), &json!("orders"))
    );
    assert_eq!(added["scopes"], json!(["a", "b"]));
    let told = house.run(["policy", "add", "--tenant", "acme", "app-itself", "--audience", "wx1"]).run().await.ok();
    assert!(told.contains("/forward-auth/app-itself"), "{told}");

    let taken = ["policy", "add", "--tenant", "other", "shop", "--audience", "theirs"];
    let told = refused(house.run(taken).run().await, FAILURE);
    assert!(told.contains("a policy shop exists already"), "{told}");
    for foreign in ["theirs", "wx9", "nobodys"] {
        let told =
            refused(house.run(["policy", "add", "--tenant", "acme", "x", "--audience", foreign]).run().await, FAILURE);
        assert!(told.contains(&format!("does not own the audience {foreign}")), "{told}");
    }
    for wrong in ["Shop", "a/b", "..", "-x", ""] {
        let add = ["policy", "add", "--audience", "orders", "--tenant", "acme", "--", wrong];
        refused(house.run(add).run().await, USAGE);
    }
    refused(house.run(["policy", "add", "--tenant", "acme", "x"]).run().await, USAGE);
    let twice = ["policy", "add", "--tenant", "acme", "x", "--audience", "orders", "--scope", "a", "--scope", "a"];
    let told = refused(house.run(twice).run().await, FAILURE);
    assert!(told.contains("scopes must be at most 20"), "{told}");
    let list = house.run(["policy", "list", "--tenant", "acme", "--json"]).run().await.json();
    assert_eq!(names(&list), ["app-itself", "shop"]);
    let table = house.run(["policy", "list"]).run().await.ok();
    assert!(table.contains("orders") && table.contains("a b"), "{table}");
}
