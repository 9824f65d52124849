//! Services take WeChat's access_token from wxgate, so that the AppSecret lives in one place.

use reqwest::Method;
use serde_json::json;
use wxgate_crypto::{Digest, encoding};

use crate::harness::oauth::{ServiceClient, service_client};
use crate::harness::{APP, Client, Gateway, OTHER_APP, Reply};

async fn ask(client: &Client, appid: &str, by: Option<&ServiceClient>) -> Reply {
    let request = client.request(Method::GET, &format!("/v1/apps/{appid}/access-token"));
    client
        .send(match by {
            Some(by) => request.basic_auth(&by.id, Some(&by.secret)),
            None => request,
        })
        .await
}

async fn report(gateway: &Gateway, by: &ServiceClient, digest: &str) -> Reply {
    let request = gateway.client().request(Method::POST, &format!("/v1/apps/{APP}/access-token/dead"));
    gateway.client().send(request.basic_auth(&by.id, Some(&by.secret)).json(&json!({ "digest": digest }))).await
}

fn digest(token: &str) -> String {
    encoding::to_hex(Digest::sha256(token.as_bytes()).as_bytes())
}

#[tokio::test]
async fn a_service_gets_the_token_that_its_policy_grants_and_each_hour_of_it_is_written_down() {
    let gateway = Gateway::dev().await;
    let shop = service_client(&gateway, "demo", "shop", &["--access-token", APP]).await;
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let reply = ask(gateway.client(), APP, Some(&shop)).await;
        assert_eq!(reply.header("cache-control"), "no-store");
        let given = reply.ok();
        assert!((7_000..=7_200).contains(&given["expires_in"].as_u64().unwrap()), "{given}");
        tokens.push(given["access_token"].as_str().unwrap().to_owned());
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert!(gateway.simulator().takes(&tokens[0]).await);

    let log = gateway.operator().get("/audit?tenant=demo&action=access_token.take").await.ok();
    let entries = log["items"].as_array().unwrap();
    assert_eq!(entries.len(), 1, "{log}");
    assert_eq!(entries[0]["actor"], format!("client:{}", shop.id));
    assert_eq!((&entries[0]["target"], &entries[0]["outcome"]), (&json!(APP), &json!("done")));
    assert!(!gateway.log().contains(&tokens[0]));
    assert_eq!(gateway.metric(r#"wxgate_brokered_total{outcome="given"}"#).await, 3);
}

#[tokio::test]
async fn a_token_is_refused_to_whoever_has_no_grant_no_secret_another_tenant_or_another_address() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let shop = service_client(&gateway, "demo", "shop", &["--access-token", APP, "--introspect"]).await;
    let nobody = service_client(&gateway, "demo", "nobody", &[]).await;
    let elsewhere = ["--access-token", APP, "--address", "127.0.0.9/32"];
    let elsewhere = service_client(&gateway, "demo", "elsewhere", &elsewhere).await;
    gateway.command(["tenant", "add", "umbrella"]).run().await.ok();
    let stranger = service_client(&gateway, "umbrella", "stranger", &[]).await;
    // Nobody grants what is not theirs.
    let add = ["service-client", "add", "--tenant", "umbrella", "thief", "--access-token", APP];
    let told = gateway.command(add).run().await.failed();
    assert!(told.contains("does not own"), "{told}");

    ask(client, APP, Some(&shop)).await.ok();
    ask(client, OTHER_APP, Some(&shop)).await.refused(403, "NOT_GRANTED");
    ask(client, APP, Some(&nobody)).await.refused(403, "NOT_GRANTED");
    ask(client, APP, None).await.refused(401, "CLIENT_INVALID");
    ask(client, APP, Some(&stranger)).await.refused(401, "CLIENT_INVALID");
    ask(client, APP, Some(&ServiceClient { secret: nobody.secret.clone(), ..shop.clone() }))
        .await
        .refused(401, "CLIENT_INVALID");
    ask(client, APP, Some(&elsewhere)).await.refused(401, "CLIENT_INVALID");
    ask(&client.sent_from([127, 0, 0, 9]), APP, Some(&elsewhere)).await.ok();
    ask(client, "wxnobodys", Some(&shop)).await.refused(404, "APP_UNKNOWN");
    gateway.command(["app", "disable", APP]).run().await.ok();
    gateway.comes_to_answer(APP, "APP_DISABLED").await;
    ask(client, APP, Some(&shop)).await.refused(403, "APP_DISABLED");

    let log = gateway.operator().get("/audit?tenant=demo&action=access_token.take").await.ok();
    let refused = log["items"].as_array().unwrap().iter().filter(|entry| entry["outcome"] == "refused").count();
    assert_eq!(refused, 2, "{log}");
}

#[tokio::test]
async fn a_token_said_to_be_dead_is_replaced_only_if_it_is_the_present_one_and_wechat_agrees() {
    let gateway = Gateway::dev().await;
    let shop = service_client(&gateway, "demo", "shop", &["--access-token", APP]).await;
    let nobody = service_client(&gateway, "demo", "nobody", &[]).await;
    let token = async || {
        let given = ask(gateway.client(), APP, Some(&shop)).await.ok();
        given["access_token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    assert_eq!(report(&gateway, &shop, &digest("89_another")).await.ok()["outcome"], "not_current");
    for malformed in ["", &first, &digest(&first).to_uppercase()] {
        report(&gateway, &shop, malformed).await.refused(400, "REQUEST_INVALID");
    }
    report(&gateway, &nobody, &digest(&first)).await.refused(403, "NOT_GRANTED");
    gateway.simulator().end_tokens(APP).await;
    assert_eq!(report(&gateway, &shop, &digest(&first)).await.ok()["outcome"], "replaced");
    let second = token().await;
    assert!(second != first && gateway.simulator().takes(&second).await);
    assert_eq!(report(&gateway, &shop, &digest(&first)).await.ok()["outcome"], "not_current");

    // The next one is looked into no sooner than after a minute, dead or alive.
    let problem = report(&gateway, &shop, &digest(&second)).await.refused(429, "RATE_LIMITED");
    assert!((1..=60).contains(&problem["retry_after"].as_u64().unwrap()), "{problem}");
    assert_eq!(token().await, second);
}

#[tokio::test]
async fn a_token_that_works_is_not_replaced_on_anybodys_word() {
    let gateway = Gateway::dev().await;
    let shop = service_client(&gateway, "demo", "shop", &["--access-token", APP]).await;
    let given = ask(gateway.client(), APP, Some(&shop)).await.ok();
    let token = given["access_token"].as_str().unwrap();
    assert_eq!(report(&gateway, &shop, &digest(token)).await.ok()["outcome"], "alive");
    assert_eq!(ask(gateway.client(), APP, Some(&shop)).await.ok()["access_token"], token);
}
