//! Who a service client is: an id, a secret, an address; and nothing told to whoever is not one.

use reqwest::Method;

use crate::harness::oauth::{ServiceClient, believed, post, request, service_client, urlencoded};
use crate::harness::{Client, Gateway, PATIENCE, Reply, within};

/// What every client may do: give back a token that is none.
async fn ask(client: &Client, tenant: &str, by: Option<&ServiceClient>, more: &[(&str, &str)]) -> Reply {
    post(client, tenant, "revoke", by, &[&[("token", "x")], more].concat()).await
}

fn with_secret(client: &ServiceClient, secret: &str) -> ServiceClient {
    ServiceClient { id: client.id.clone(), secret: secret.to_owned() }
}

#[tokio::test]
async fn a_client_proves_who_it_is_by_header_or_by_body() {
    let gateway = Gateway::dev().await;
    let client = service_client(&gateway, "demo", "Orders", &[]).await;
    let (id, secret) = (("client_id", client.id.as_str()), ("client_secret", client.secret.as_str()));
    let http = gateway.client();
    ask(http, "demo", Some(&client), &[]).await.status_is(200);
    ask(http, "demo", None, &[id, secret]).await.status_is(200);
    ask(http, "demo", Some(&client), &[id]).await.status_is(200);
    // Escaped as RFC 6749 section 2.3.1 says, although nothing needs it.
    let escaped = ServiceClient { id: client.id.replace('_', "%5F"), secret: client.secret.replace('_', "%5f") };
    ask(http, "demo", Some(&escaped), &[]).await.status_is(200);
}

#[tokio::test]
async fn refuses_two_ways_at_once() {
    let gateway = Gateway::dev().await;
    let client = service_client(&gateway, "demo", "Orders", &[]).await;
    let other = service_client(&gateway, "demo", "Other", &[]).await;
    let http = gateway.client();
    let (id, secret) = (("client_id", client.id.as_str()), ("client_secret", client.secret.as_str()));
    for more in [&[id, secret][..], &[secret], &[("client_id", other.id.as_str())]] {
        ask(http, "demo", Some(&client), more).await.oauth_refused(400, "invalid_request");
    }
    ask(http, "demo", None, &[secret]).await.oauth_refused(400, "invalid_request");
    let twice = request(http, "demo", "revoke", Some(&client)).basic_auth(&client.id, Some(&client.secret));
    http.send(urlencoded(twice, &[("token", "x")])).await.oauth_refused(401, "invalid_client");
}

#[tokio::test]
async fn a_stranger_learns_nothing_from_how_it_is_refused() {
    let gateway = Gateway::dev().await;
    gateway.command(["tenant", "add", "acme"]).run().await.ok();
    let client = service_client(&gateway, "demo", "Orders", &[]).await;
    let theirs = service_client(&gateway, "acme", "Orders", &[]).await;
    let unknown = ServiceClient { id: "svc_AAAAAAAAAAAAAAAAAAAAAA".to_owned(), secret: client.secret.clone() };
    let mut strangers = vec![
        with_secret(&client, ""),
        with_secret(&client, &theirs.secret),
        with_secret(&client, &client.secret[..46]),
        with_secret(&client, &client.secret.to_uppercase()),
        theirs,
        unknown,
    ];
    strangers.push(ServiceClient { id: client.id.to_uppercase(), ..client.clone() });
    strangers.push(ServiceClient { id: String::new(), secret: String::new() });
    let mut told = Vec::new();
    for stranger in &strangers {
        let reply = ask(gateway.client(), "demo", Some(stranger), &[]).await;
        reply.oauth_refused(401, "invalid_client");
        let mut names: Vec<_> = reply.headers.keys().map(ToString::to_string).collect();
        names.sort();
        told.push((reply.text.clone(), names));
    }
    crate::harness::all_equal(told);
    for header in ["Bearer x", "Basic", "Basic !!!", "basic eDp5eg==", "Negotiate x"] {
        let request = gateway.client().request(Method::POST, "/t/demo/oauth/revoke").header("Authorization", header);
        let reply = gateway.client().send(urlencoded(request, &[("token", "x")])).await;
        reply.oauth_refused(401, "invalid_client");
    }
    let log = gateway.log();
    assert!(!log.contains("wxs_") && !log.contains(&client.secret[4..]), "no secret in the log");
}

#[tokio::test]
async fn nobody_shuts_a_client_out_by_failing_in_its_name() {
    let gateway = Gateway::dev().await;
    let client = service_client(&gateway, "demo", "Orders", &[]).await;
    let wrong = with_secret(&client, "wxs_wrong");
    let mut limited = 0;
    for _ in 0..30 {
        let reply = ask(gateway.client(), "demo", Some(&wrong), &[]).await;
        if reply.status == 429 {
            reply.oauth_refused(429, "temporarily_unavailable");
            assert!(reply.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
            limited += 1;
        } else {
            reply.oauth_refused(401, "invalid_client");
        }
    }
    assert!(limited >= 10, "only {limited} of 30 failures were limited");
    ask(gateway.client(), "demo", Some(&client), &[]).await.status_is(200);
    // Each id has its own account, whether there is such a client or not.
    let other = ServiceClient { id: "svc_AAAAAAAAAAAAAAAAAAAAAA".to_owned(), ..wrong };
    ask(gateway.client(), "demo", Some(&other), &[]).await.oauth_refused(401, "invalid_client");
    assert!(gateway.metric("wxgate_client_failures_total").await >= 31);
}

#[tokio::test]
async fn refuses_the_right_secret_from_a_wrong_address_without_saying_so() {
    let gateway = Gateway::dev().await;
    let client = service_client(&gateway, "demo", "Orders", &["--address", "127.0.9.0/24"]).await;
    let inside = gateway.client().sent_from([127, 0, 9, 7]);
    ask(&inside, "demo", Some(&client), &[]).await.status_is(200);
    for outside in [[127, 0, 10, 7], [127, 0, 0, 1]] {
        let reply = ask(&gateway.client().sent_from(outside), "demo", Some(&client), &[]).await;
        let wrong = ask(&inside, "demo", Some(&with_secret(&client, "wxs_x")), &[]).await;
        assert_eq!(reply.oauth_refused(401, "invalid_client"), wrong.oauth_refused(401, "invalid_client"));
    }
    assert!(gateway.log().contains("from an address that it may not come from"), "the operator is told");
}

#[tokio::test]
async fn a_rotated_secret_counts_as_long_as_was_said_and_a_removed_client_not_at_all() {
    let gateway = Gateway::dev().await;
    let first = service_client(&gateway, "demo", "Orders", &[]).await;
    let rotate = async |hours: &str| {
        let rotate = ["service-client", "rotate", &first.id, "--overlap-hours", hours, "--json"];
        let rotated = gateway.command(rotate).run().await.json();
        with_secret(&first, rotated["secret"].as_str().unwrap())
    };
    let refused = async |client: &ServiceClient| {
        within(PATIENCE, "the secret is refused", async || {
            (ask(gateway.client(), "demo", Some(client), &[]).await.status != 200).then_some(())
        })
        .await;
    };
    let second = rotate("24").await;
    believed(&gateway, "demo", &second).await;
    ask(gateway.client(), "demo", Some(&first), &[]).await.status_is(200);
    let third = rotate("0").await;
    believed(&gateway, "demo", &third).await;
    for old in [&first, &second] {
        refused(old).await;
    }
    gateway.command(["service-client", "remove", &first.id, "--yes"]).run().await.ok();
    refused(&third).await;
}
