//! Requests to the OAuth endpoints that have two meanings or none: refused in OAuth's own shape, before anything is done.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::oauth::{ServiceClient, WECHAT_CODE, post, request, service_client, urlencoded};
use crate::harness::{APP, Gateway};

const ENDPOINTS: [&str; 3] = ["token", "introspect", "revoke"];
const FORM: &str = "application/x-www-form-urlencoded";

fn raw(request: RequestBuilder, media_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    request.header("Content-Type", media_type).body(body)
}

#[tokio::test]
async fn refuses_a_parameter_that_is_there_twice() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let service = service_client(&gateway, "demo", "Orders", &["--introspect"]).await;
    let issued = gateway.simulator().code(APP).await;
    let grant = format!("grant_type={}&client_id={APP}&code={}", WECHAT_CODE.replace(':', "%3A"), issued.code);
    for more in [
        "&client_id=wx000000000000de02",
        "&code=x",
        "&c%6Fde=x",
        "&grant_type=client_credentials",
        "&client_id=",
        "&audience=a&audience=b",
        "&unknown=1&unknown=1",
    ] {
        let body = format!("{grant}{more}");
        client
            .send(raw(request(client, "demo", "token", None), FORM, body))
            .await
            .oauth_refused(400, "invalid_request");
    }
    for endpoint in ["introspect", "revoke"] {
        let twice = raw(request(client, "demo", endpoint, Some(&service)), FORM, "token=a&token=b");
        client.send(twice).await.oauth_refused(400, "invalid_request");
    }
    assert_eq!(gateway.simulator().exchanges().await, 0);
    // What is not known is ignored (RFC 6749 section 3.2).
    client.send(raw(request(client, "demo", "token", None), FORM, format!("{grant}&unknown=1"))).await.ok();
}

#[tokio::test]
async fn refuses_a_form_that_two_readers_could_read_differently() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let many = (0..65).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
    for endpoint in ENDPOINTS {
        for body in [
            "token",
            "token=%",
            "token=%zz",
            "token=%00",
            "=x",
            "token=a&&x=1",
            "token=a b",
            "token=\u{e4}",
            "token=a;b=c\n",
            &many,
        ] {
            let reply = client.send(raw(request(client, "demo", endpoint, None), FORM, body.to_owned())).await;
            reply.oauth_refused(400, "invalid_request");
        }
    }
    for body in ["", "grant_type=", "code=x"] {
        client
            .send(raw(request(client, "demo", "token", None), FORM, body))
            .await
            .oauth_refused(400, "invalid_request");
    }
    for grant in ["password", "authorization_code", "implicit", "CLIENT_CREDENTIALS", "urn:wxgate:grant:wechat-code "] {
        let reply = post(client, "demo", "token", None, &[("grant_type", grant)]).await;
        reply.oauth_refused(400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn refuses_parameters_in_the_address_and_keeps_them_out_of_the_log() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for endpoint in ENDPOINTS {
        for query in ["token=canary-5f1e9d", "grant_type=client_credentials&client_secret=canary-5f1e9d", "x"] {
            let request = client.request(Method::POST, &format!("/t/demo/oauth/{endpoint}?{query}"));
            let reply = client.send(urlencoded(request, &[("token", "x")])).await;
            reply.oauth_refused(400, "invalid_request");
        }
    }
    assert!(!gateway.log().contains("canary-5f1e9d"));
}

#[tokio::test]
async fn refuses_other_bodies_than_forms_in_the_shape_of_oauth() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for endpoint in ENDPOINTS {
        let ask = |media_type: &str, body: String| {
            client.send(raw(request(client, "demo", endpoint, None), media_type, body))
        };
        for media_type in
            ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx"]
        {
            ask(media_type, json!({ "token": "x" }).to_string()).await.oauth_refused(415, "invalid_request");
        }
        let bare = request(client, "demo", endpoint, None).body("token=x");
        client.send(bare).await.oauth_refused(415, "invalid_request");
        let zipped = request(client, "demo", endpoint, None).header("Content-Encoding", "gzip");
        client.send(raw(zipped, FORM, "token=x")).await.oauth_refused(415, "invalid_request");
        let two = request(client, "demo", endpoint, None).header("Content-Type", "text/plain");
        client.send(raw(two, FORM, "token=x")).await.oauth_refused(415, "invalid_request");
        ask(FORM, format!("token={}", "x".repeat(16 * 1024))).await.oauth_refused(413, "invalid_request");
        let full =
            ask("Application/X-WWW-Form-Urlencoded; charset=UTF-8", format!("token={}", "x".repeat(16 * 1024 - 6)))
                .await;
        assert_ne!(full.status, 413, "{}", full.text);
    }
}

#[tokio::test]
async fn refuses_other_methods_however_they_are_asked_for() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    for endpoint in ENDPOINTS {
        let path = format!("/t/demo/oauth/{endpoint}");
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let request = client.request(method, &path).header("X-HTTP-Method-Override", "POST");
            let reply = client.send(urlencoded(request, &[("token", "x")])).await;
            reply.oauth_refused(405, "invalid_request");
            assert_eq!(reply.header("allow"), "POST");
        }
        // Another address is another address: nothing is folded together.
        for odd in [format!("{path}/"), format!("{path}/x"), format!("/t/demo/oauth//{endpoint}"), path.to_uppercase()]
        {
            let request = client.request(Method::POST, &odd);
            assert_eq!(client.send(urlencoded(request, &[("token", "x")])).await.status, 404, "{odd}");
        }
        post(client, "UPPER", endpoint, None, &[("token", "x")]).await.oauth_refused(404, "invalid_request");
        let padded = request(client, "demo", endpoint, None).header("X-Padding", "x".repeat(17 * 1024));
        client.send(urlencoded(padded, &[("token", "x")])).await.oauth_refused(431, "invalid_request");
    }
}

#[tokio::test]
async fn a_flood_from_one_address_is_refused_in_the_shape_of_oauth() {
    let strict = Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "1");
    let gateway = strict.env("WXGATE__LIMITS__ADDRESS_BURST", "3").await;
    let client = gateway.client().sent_from([127, 0, 11, 1]);
    let mut limited = 0;
    for _ in 0..12 {
        let reply = post(&client, "demo", "revoke", None, &[("token", "x")]).await;
        if reply.status == 429 {
            reply.oauth_refused(429, "temporarily_unavailable");
            assert!(reply.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
            limited += 1;
        }
    }
    assert!(limited >= 4, "only {limited} of 12 were refused");
}

#[tokio::test]
async fn a_service_may_introspect_as_often_as_it_likes_and_a_stranger_may_not() {
    let strict = Gateway::dev().env("WXGATE__LIMITS__ADDRESS_PER_SECOND", "1");
    let gateway = strict.env("WXGATE__LIMITS__ADDRESS_BURST", "40").await;
    let service = service_client(&gateway, "demo", "Orders", &["--introspect"]).await;
    let [inside, outside] = [1, 2].map(|number| gateway.client().sent_from([127, 0, 12, number]));
    for _ in 0..100 {
        post(&inside, "demo", "introspect", Some(&service), &[("token", "x")]).await.ok();
    }
    let stranger = ServiceClient { secret: "wxs_x".to_owned(), ..service };
    let mut limited = 0;
    for n in 0..100 {
        // Not one client's failures alone: whatever is refused.
        let by = (n % 2 == 0).then_some(&stranger);
        let reply = post(&outside, "demo", "introspect", by, &[("token", "x")]).await;
        if reply.status == 429 {
            reply.oauth_refused(429, "temporarily_unavailable");
            limited += 1;
        } else {
            reply.oauth_refused(401, "invalid_client");
        }
    }
    assert!(limited >= 40, "only {limited} of 100 were refused");
}
