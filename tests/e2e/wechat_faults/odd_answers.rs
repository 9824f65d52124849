//! Answers that no WeChat should give, and that some day one will.

use tokio::time::Instant;

use super::{BAD_RESPONSE, TIMEOUT, Told, check, login, told};
use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

fn success() -> Answer {
    Answer::body(format!(r#"{{"session_key":"{KEY}","openid":"oSomebody"}}"#))
}

/// A WeChat that answers the code `case-7` with the seventh of these answers, and every other code well.
async fn wechat(cases: &[(&'static str, Answer)]) -> Wechat {
    let answers: Vec<Answer> = cases.iter().map(|(_, answer)| answer.clone()).collect();
    Wechat::start(move |request| {
        let number = request.split_once("js_code=case-").map(|(_, rest)| {
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().unwrap()
        });
        number.map_or_else(success, |number| answers[number].clone())
    })
    .await
}

/// Meets each answer with a code of its own. A good one comes between, so that no breaker opens.
async fn meet(cases: &[(&'static str, Answer)], told: Option<&Told>) {
    let wechat = wechat(cases).await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).env("WXGATE__LIMITS__ADDRESS_BURST", "1000").await;
    for (number, (what, _)) in cases.iter().enumerate() {
        let before = wechat.calls();
        let reply = login(gateway.client(), APP, &format!("case-{number}")).await;
        match told {
            Some(told) => {
                let problem = check(&reply, told, what);
                assert_eq!(problem.as_object().unwrap().len(), 6, "{what}: {problem}");
            }
            None => assert_eq!(reply.status, 200, "{what}: {}", reply.text),
        }
        assert_eq!(wechat.calls(), before + 1, "{what}: asked once");
        // Good answers name one person, who may log in ten times a minute.
        if number < 9 {
            login(gateway.client(), APP, &format!("good-{number}")).await.ok();
        }
    }
}

fn identity(openid: &str, more: &str) -> String {
    format!(r#"{{"session_key":"{KEY}","openid":{openid}{more}}}"#)
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_bad_response() {
    let deep = format!(r#"{{"a":{}1{},"openid":"o1","session_key":"{KEY}"}}"#, "[".repeat(200), "]".repeat(200));
    let spaces = format!("{}{}", " ".repeat(70 * 1024), identity("\"o1\"", ""));
    let cases = [
        ("an empty object", Answer::body("{}")),
        ("a list", Answer::body(format!("[{}]", identity("\"o1\"", "")))),
        ("null", Answer::body("null")),
        ("text", Answer::body("\"ok\"")),
        ("white space", Answer::body(" \r\n")),
        ("no content", Answer::raw("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")),
        ("success without an identity", Answer::body(r#"{"errcode":0,"errmsg":"ok"}"#)),
        ("no session_key", Answer::body(r#"{"openid":"o1"}"#)),
        ("an empty session_key", Answer::body(r#"{"openid":"o1","session_key":""}"#)),
        ("a session_key of 15 bytes", Answer::body(r#"{"openid":"o1","session_key":"AAAAAAAAAAAAAAAAAAAA"}"#)),
        ("a session_key of 17 bytes", Answer::body(r#"{"openid":"o1","session_key":"AAAAAAAAAAAAAAAAAAAAAAA="}"#)),
        (
            "a session_key that is no base64",
            Answer::body(r#"{"openid":"o1","session_key":"!!!!!!!!!!!!!!!!!!!!!!=="}"#),
        ),
        ("a session_key that is a number", Answer::body(r#"{"openid":"o1","session_key":1}"#)),
    ];
    meet(&cases, Some(&BAD_RESPONSE)).await;
    let cases = [
        ("an empty openid", Answer::body(identity("\"\"", ""))),
        ("an openid with a space", Answer::body(identity("\"o 1\"", ""))),
        ("an openid of 65 characters", Answer::body(identity(&format!("\"{}\"", "o".repeat(65)), ""))),
        ("an openid with a null character", Answer::body(identity(r#""o\u0000""#, ""))),
        ("an openid that is a number", Answer::body(identity("1", ""))),
        ("two openids", Answer::body(identity("\"o1\"", r#","openid":"o2""#))),
        ("a malformed unionid", Answer::body(identity("\"o1\"", r#","unionid":"u 1""#))),
        ("a unionid that is a list", Answer::body(identity("\"o1\"", r#","unionid":["u1"]"#))),
        ("errcode null", Answer::body(identity("\"o1\"", r#","errcode":null"#))),
        ("errcode with a fraction", Answer::body(identity("\"o1\"", r#","errcode":0.5"#))),
        ("nesting without end", Answer::body(deep)),
        ("70 KiB of spaces", Answer::body(spaces)),
        ("not UTF-8", Answer::body(b"{\"openid\":\"\xff\xfe\"}")),
        ("something after the object", Answer::body(identity("\"o1\"", "") + "{}")),
        ("a page", Answer::with("200 OK", "application/json", "<!doctype html><title>hello</title>")),
        (
            "a redirect",
            Answer::raw(
                "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ),
        ),
    ];
    meet(&cases, Some(&BAD_RESPONSE)).await;
}

#[tokio::test]
async fn a_server_error_counts_whatever_its_body_says() {
    let cases = [
        ("502 with an identity", Answer::with("502 Bad Gateway", "application/json", identity("\"o1\"", ""))),
        ("500 with a refusal", Answer::with("500 Internal Server Error", "text/plain", r#"{"errcode":40029}"#)),
        ("503, empty", Answer::with("503 Service Unavailable", "text/plain", "")),
        ("gzip, which nobody asked for", {
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            Answer::raw(head)
        }),
    ];
    meet(&cases, Some(&BAD_RESPONSE)).await;
}

#[tokio::test]
async fn a_refusal_wins_over_an_identity_beside_it() {
    let cases = [
        ("a number", Answer::body(identity("\"o1\"", r#","errcode":40029,"errmsg":"invalid code""#))),
        ("a text", Answer::body(identity("\"o1\"", r#","errcode":"40029""#))),
        ("a client error's status", Answer::with("400 Bad Request", "text/plain", r#"{"errcode":40029}"#)),
        ("a mock code", Answer::body(r#"{"errcode":40029,"errmsg":"the code is a mock one"}"#)),
    ];
    meet(&cases, Some(&told(400, "CODE_INVALID", "new_code"))).await;
}

#[tokio::test]
async fn the_body_counts_and_not_its_label() {
    let good = identity("\"oGood\"", r#","errcode":0,"errmsg":"ok","unionid":"","later":{"x":[1]}"#);
    let text_zero = identity("\"oGood\"", r#","errcode":"0","unionid":null"#);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{good}\r\n0\r\n\r\n",
        good.len()
    );
    let cases = [
        ("labelled as a page", Answer::with("200 OK", "text/html; charset=gbk", &good)),
        ("labelled as an image", Answer::with("200 OK", "image/png", &good)),
        ("errcode \"0\"", Answer::body(text_zero)),
        ("in chunks", Answer::raw(chunked)),
    ];
    meet(&cases, None).await;
}

#[tokio::test]
async fn lies_about_lengths_and_silence_end_in_time() {
    let short = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}", identity("\"o1\"", ""));
    let cases = [
        ("hangs up", Answer::hang_up()),
        ("half a head", Answer::raw("HTTP/1.1 200 OK\r\nContent-Le")),
        ("less than it promised", Answer::raw(short.clone())),
        ("less than it promised, and waits", Answer::raw(short).stay_open()),
        ("a head, and waits", Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").stay_open()),
        ("silence", Answer::silence()),
    ];
    let began = Instant::now();
    meet(&cases, Some(&TIMEOUT)).await;
    // Three of them say nothing more: two seconds each, and not the sum of several tries.
    assert!(began.elapsed().as_secs() >= 6, "silence is waited for");
}

#[tokio::test]
async fn what_is_no_http_is_a_bad_response() {
    let chunked = |chunks: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    let many = "X: a\r\n".repeat(500);
    let cases = [
        ("another protocol", Answer::raw("SSH-2.0-OpenSSH_9.2\r\n")),
        ("a chunk without a length", Answer::raw(chunked("zz\r\n{}\r\n0\r\n\r\n"))),
        ("a chunk longer than any", Answer::raw(chunked("fffffffffffffffff\r\n{}\r\n0\r\n\r\n"))),
        ("two lengths", Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
        ("500 headers", Answer::raw(format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\n{{}}"))),
        ("a header without an end", Answer::raw(format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1_000_000)))),
    ];
    meet(&cases, Some(&BAD_RESPONSE)).await;
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(3));
    let claims = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned() + &"x".repeat(100_000);
    let cases = [
        ("chunks without end", Answer::raw(endless).stay_open()),
        ("a length of 100 GB", Answer::raw(claims).stay_open()),
    ];
    meet(&cases, Some(&BAD_RESPONSE)).await;
}
