//! Clients that look for a way around the question.

use super::{House, OTHER_POLICY, on_each_proxy, request};
use crate::harness::OTHER_APP;
use crate::harness::proxy::{HOST, Kind};

on_each_proxy! {
    no_spelling_of_a_path_leads_around
    no_query_and_no_header_changes_the_question
    no_name_of_the_host_leads_around
}

async fn no_spelling_of_a_path_leads_around(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    let other = format!("/forward-auth/{OTHER_POLICY}");
    for path in [
        "//".to_owned(),
        "//orders//7".to_owned(),
        "/./".to_owned(),
        "/..;/".to_owned(),
        "/orders/..;/7".to_owned(),
        "/%2e%2e/".to_owned(),
        "/%2E%2E%2F".to_owned(),
        "/orders%00".to_owned(),
        "/orders%0d%0aX-Auth-Sub:%20mallory".to_owned(),
        "/\\..\\".to_owned(),
        format!("/..{other}"),
        format!("/orders/../..{other}"),
        format!("/%2e%2e/%2e%2e{other}"),
        format!("/..%2f..{other}"),
        // The place where nginx asks the gateway.
        "/wxgate".to_owned(),
        "/%77xgate".to_owned(),
        "/wxgate/".to_owned(),
        "//wxgate".to_owned(),
        other.clone(),
        format!("http://{HOST}/"),
        format!("http://{HOST}:1{other}"),
        "orders".to_owned(),
        "*".to_owned(),
    ] {
        let line = format!("GET {path}");
        let before = house.service.calls();
        house.faithful_or_refused(&path, before, &house.send(&line, Some(&house.token), "").await);
        let before = house.service.calls();
        // A name that is not served is answered without the service, with whatever status.
        for token in [None, Some(house.other_token.as_str())] {
            let reply = house.send(&line, token, "").await;
            assert_eq!(house.service.calls(), before, "{path}: {reply}");
        }
    }
}

async fn no_query_and_no_header_changes_the_question(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    let other = format!("/forward-auth/{OTHER_POLICY}");
    for query in [
        format!("aud={OTHER_APP}"),
        format!("audience={OTHER_APP}&scope=&tenant=demo"),
        format!("policy={OTHER_POLICY}"),
        format!("x=1?aud={OTHER_APP}"),
        format!("x%26aud={OTHER_APP}"),
    ] {
        let reply = house.send(&format!("GET /?{query}"), Some(&house.other_token), "").await;
        house.refused(&query, 0, &reply);
        let reply = house.send(&format!("GET {other}?{query}"), Some(&house.other_token), "").await;
        house.refused(&query, 0, &reply);
    }
    for headers in [
        format!("X-Forwarded-Uri: {other}\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: other\r\n"),
        format!("X-Original-URI: {other}\r\nX-Original-URL: {other}\r\nX-Rewrite-URL: {other}\r\n"),
        format!("X-Auth-Request-Redirect: {other}\r\nX-Envoy-Original-Path: {other}\r\n"),
        format!("X-HTTP-Method-Override: {other}\r\n"),
        format!("X-Accel-Redirect: {other}\r\n"),
        format!("X-Auth-App: {OTHER_APP}\r\nX-App-Id: {OTHER_APP}\r\n"),
    ] {
        house.refused(&headers, 0, &house.send("GET /", Some(&house.other_token), &headers).await);
    }
}

async fn no_name_of_the_host_leads_around(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    for host in [
        "orders.example.com.",
        "ORDERS.EXAMPLE.COM",
        "orders.example.com:1",
        "orders.example.com.:1",
        "other.example.com",
        "127.0.0.1:8080",
        "localhost",
        "orders.example.com, other.example.com",
        "orders.example.com\r\nHost: other.example.com",
        "",
    ] {
        let before = house.service.calls();
        let reply = house.proxy.send(&request("GET /", host, Some(&house.token), "X-Auth-Sub: mallory\r\n")).await;
        house.faithful_or_refused(host, before, &reply);
        let before = house.service.calls();
        for token in [None, Some(house.other_token.as_str())] {
            let reply = house.proxy.send(&request("GET /", host, token, "X-Auth-Sub: mallory\r\n")).await;
            assert_eq!(house.service.calls(), before, "{host}: {reply}");
        }
    }
}
