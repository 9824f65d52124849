//! A login code works once, whoever sends it, however often, and whatever it pretends to be.

mod malformed;
mod replay;

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP, PATIENCE, Reply, all_equal, within};

/// `POST` of a login with further headers.
async fn post(gateway: &Gateway, body: &Value, headers: &[(&str, &str)]) -> Reply {
    let mut request = gateway.client().request(Method::POST, &format!("/v1/apps/{APP}/login"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    gateway.client().send(request.json(body)).await
}

#[tokio::test]
async fn twenty_taps_at_once_make_one_call_and_one_session() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let issued = simulator.code(APP).await;
    simulator.fault(json!({ "kind": "latency", "delay_ms": 300 })).await;

    let replies = join_all((0..20).map(|_| gateway.client().login_with(APP, &issued.code))).await;
    let replies: Vec<_> = replies.iter().map(Reply::ok).collect();
    all_equal(replies.iter().map(|reply| &reply["session_id"]));
    all_equal(replies.iter().map(|reply| &reply["user"]["id"]));
    // The refresh token is that of the session; each caller has an access token of its own.
    all_equal(replies.iter().map(|reply| &reply["refresh_token"]));

    let calls = simulator.journal().await;
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!((&calls[0]["appid"], &calls[0]["errcode"]), (&json!(APP), &json!(0)));
}

#[tokio::test]
async fn twenty_taps_with_data_open_it_twenty_times_in_one_session() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let issued = simulator.code(APP).await;
    let sealed = simulator.user_info(APP, &issued.openid).await;
    simulator.fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    let body = json!({ "code": issued.code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
    let replies = join_all((0..20).map(|_| gateway.client().login(APP, &body))).await;
    let replies: Vec<_> = replies.iter().map(Reply::ok).collect();
    all_equal(replies.iter().map(|reply| &reply["session_id"]));
    assert_eq!(all_equal(replies.iter().map(|reply| &reply["user_data"]["openId"])), &json!(issued.openid));
    assert_eq!(simulator.exchanges().await, 1);
}

#[tokio::test]
async fn twenty_taps_of_the_tutorial_s_client_make_one_call() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    gateway.simulator().fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    let body = json!({ "platCode": issued.code });
    let path = format!("/apps/{APP}/user/wxlogin");
    let replies = join_all((0..20).map(|_| gateway.client().post(&path, &body))).await;
    all_equal(replies.iter().map(|reply| reply.ok()["token"]["refresh_token"].clone()));
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn twenty_taps_at_once_of_a_bad_code_make_one_call_and_one_answer() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    simulator.fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    let code = "0000000000000000000000000000none";
    let replies = join_all((0..20).map(|_| gateway.client().login_with(APP, code))).await;
    // Who came after the answer is told that the code was tried; nobody sends it again.
    let invalid = replies.iter().filter(|reply| reply.status == 400).count();
    for reply in &replies {
        if reply.status == 400 {
            reply.refused(400, "CODE_INVALID");
        } else {
            reply.refused(409, "CODE_USED");
        }
    }
    assert!(invalid >= 1);
    assert_eq!(simulator.exchanges().await, 1);
}

#[tokio::test]
async fn taps_with_different_bodies_make_one_call_and_one_session() {
    let gateway = Gateway::dev().await;
    let simulator = gateway.simulator();
    let issued = simulator.code(APP).await;
    simulator.fault(json!({ "kind": "latency", "delay_ms": 300 })).await;
    let bodies: Vec<_> = (0..10).map(|number| json!({ "code": issued.code, "tap": number })).collect();
    let replies = join_all(bodies.iter().map(|body| gateway.client().login(APP, body))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.refused(409, "CODE_USED")["action"], "new_code");
    }
    assert_eq!(simulator.exchanges().await, 1);
}

/// Sends a login over a connection of its own, byte for byte as the harness's client would, and reads nothing.
async fn send_and_stay(gateway: &Gateway, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(gateway.client().authority()).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST /v1/apps/{APP}/login HTTP/1.1\r\nHost: {}\r\nUser-Agent: wxgate-e2e/1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        gateway.client().authority(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// How a caller leaves: it closes, or its machine resets the connection.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    Closing,
    Resetting,
}

async fn the_first_caller_leaves(leaves: Leaves) {
    // WeChat holds its answer back until told otherwise: what happens in the middle happens in the middle.
    let answer = r#"{"session_key":"AAAAAAAAAAAAAAAAAAAAAA==","openid":"oHungUp"}"#;
    let wechat = Wechat::start(move |_| Answer::body(answer).held()).await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let body = json!({ "code": "the-code" });

    let caller = send_and_stay(&gateway, &body).await;
    within(PATIENCE, "WeChat is asked", async || (wechat.calls() == 1).then_some(())).await;
    if matches!(leaves, Leaves::Resetting) {
        caller.set_zero_linger().unwrap();
    }
    drop(caller);

    let release = async {
        // Other requests go their way meanwhile, and the gateway notices who is gone.
        for _ in 0..5 {
            assert_eq!(gateway.client().get("/livez").await.status, 200);
        }
        wechat.release();
    };
    let (first, second, ()) =
        tokio::join!(gateway.client().login(APP, &body), gateway.client().login(APP, &body), release);
    let later = gateway.client().login(APP, &body).await;
    assert_eq!(first.ok()["user"]["openid"], "oHungUp", "{leaves:?}");
    all_equal([&first, &second, &later].map(|reply| reply.ok()["session_id"].clone()));
    assert_eq!(wechat.calls(), 1, "{leaves:?}");
}

#[tokio::test]
async fn the_first_caller_hangs_up_and_the_others_still_get_the_session() {
    the_first_caller_leaves(Leaves::Closing).await;
}

#[tokio::test]
async fn the_first_caller_s_connection_is_reset_and_the_others_still_get_the_session() {
    the_first_caller_leaves(Leaves::Resetting).await;
}

#[tokio::test]
async fn a_session_is_opened_even_if_everybody_hangs_up() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(APP).await;
    let body = json!({ "code": issued.code });
    gateway.simulator().fault(json!({ "kind": "latency", "delay_ms": 200 })).await;
    let caller = send_and_stay(&gateway, &body).await;
    within(PATIENCE, "WeChat is asked", async || (gateway.simulator().exchanges().await == 1).then_some(())).await;
    drop(caller);

    // The client comes back as clients do; the code is spent at WeChat, and the session is there.
    let reply = gateway.client().login(APP, &body).await.ok();
    assert_eq!(reply["user"]["openid"], issued.openid);
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn refuses_a_code_of_another_app() {
    let gateway = Gateway::dev().await;
    let issued = gateway.simulator().code(OTHER_APP).await;
    let foreign = gateway.client().login_with(APP, &issued.code).await;
    let unknown = gateway.client().login_with(APP, "0123456789abcdef0123456789abcdef").await;
    let (foreign, unknown) = (foreign.refused(400, "CODE_INVALID"), unknown.refused(400, "CODE_INVALID"));
    assert_eq!(foreign["action"], "new_code");
    // A stranger cannot tell a code that exists elsewhere from one that does not.
    for key in ["type", "title", "status", "code", "action"] {
        assert_eq!(foreign[key], unknown[key]);
    }
    assert_eq!(foreign.as_object().unwrap().len(), unknown.as_object().unwrap().len());
    // And its owner can still use it.
    gateway.client().login_with(OTHER_APP, &issued.code).await.ok();
}

#[tokio::test]
async fn refuses_a_code_older_than_five_minutes() {
    let gateway = Gateway::dev().await;
    let (early, late) = (gateway.simulator().code(APP).await, gateway.simulator().code(APP).await);
    gateway.simulator().advance(Duration::from_secs(290)).await;
    gateway.client().login_with(APP, &early.code).await.ok();
    gateway.simulator().advance(Duration::from_secs(11)).await;
    let refused = gateway.client().login_with(APP, &late.code).await.refused(400, "CODE_INVALID");
    assert_eq!(refused["action"], "new_code");
}

#[tokio::test]
async fn refuses_a_code_that_was_used_elsewhere() {
    let gateway = Gateway::dev().app("wx00000000000000a1=5ec2e7a1").await;
    let appid = "wx00000000000000a1";
    let issued = gateway.simulator().code(appid).await;
    // Another server of the same owner was faster.
    let elsewhere = format!(
        "{}/sns/jscode2session?appid={appid}&secret=5ec2e7a1&js_code={}&grant_type=authorization_code",
        gateway.simulator().url(),
        issued.code
    );
    let taken = crate::harness::client::http().get(elsewhere).send().await.unwrap().text().await.unwrap();
    assert!(taken.contains(&issued.openid), "{taken}");

    let refused = gateway.client().login_with(appid, &issued.code).await.refused(409, "CODE_USED");
    assert_eq!(refused["action"], "new_code");
}

#[tokio::test]
async fn a_rejected_code_is_not_sent_to_wechat_again() {
    let gateway = Gateway::dev().await;
    let code = "0000000000000000000000000000none";
    gateway.client().login_with(APP, code).await.refused(400, "CODE_INVALID");
    for _ in 0..3 {
        let again = gateway.client().login_with(APP, code).await.refused(409, "CODE_USED");
        assert_eq!(again["action"], "new_code");
    }
    let tutorial = gateway.client().request(Method::POST, &format!("/apps/{APP}/user/wxlogin"));
    let tutorial = gateway.client().send(tutorial.json(&json!({ "platCode": code }))).await;
    tutorial.tutorial_refused(409, "CODE_USED");
    assert_eq!(gateway.simulator().exchanges().await, 1);
}

#[tokio::test]
async fn refuses_a_phone_code_as_a_login_code() {
    let gateway = Gateway::dev().await;
    let code = gateway.simulator().phone_code(APP).await;
    let refused = gateway.client().login_with(APP, &code).await.refused(400, "CODE_INVALID");
    assert_eq!(refused["action"], "new_code");
}

#[tokio::test]
async fn a_flood_of_junk_codes_leaves_the_next_real_logins_alone() {
    let gateway = Gateway::dev().await;
    let junk: Vec<_> = (0..50).map(|number| format!("junk{number:028}")).collect();
    let replies = join_all(junk.iter().map(|code| gateway.client().login_with(APP, code))).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 400 | 429)));
    for appid in [APP, OTHER_APP] {
        let issued = gateway.simulator().code(appid).await;
        gateway.client().login_with(appid, &issued.code).await.ok();
    }
}
