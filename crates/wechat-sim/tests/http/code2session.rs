//! `GET /sns/jscode2session`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, BOUND_APP, Sim, secret_of, wechat_json};

#[tokio::test(flavor = "multi_thread")]
async fn a_success_has_the_key_and_the_openid_and_no_errcode() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP, "openid": "oAlice"})).await;
    assert_eq!(code.len(), 32);
    let answer = sim.exchange(APP, &code).await;
    assert_eq!(answer["openid"], "oAlice");
    assert_eq!(answer["session_key"].as_str().unwrap().len(), 24);
    assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");

    let code = sim.code(json!({"appid": BOUND_APP})).await;
    let answer = sim.exchange(BOUND_APP, &code).await;
    assert_eq!(answer["openid"].as_str().unwrap().len(), 28);
    assert_eq!(answer["unionid"].as_str().unwrap().len(), 28);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_in_two_apps_is_named_by_unionid() {
    let sim = Sim::start().await;
    for appid in [APP, BOUND_APP] {
        let code = sim.code(json!({"appid": appid, "unionid": "uAlice"})).await;
        assert_eq!(sim.exchange(appid, &code).await["unionid"], "uAlice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_come_in_wechats_order() {
    let sim = Sim::start().await;
    let secret = secret_of(APP);
    let mut sent: Vec<(&str, &str)> = vec![("js_code", "")];
    for (repair, errcode) in [
        (None, 41002),
        (Some(("appid", "wxUnknown")), 41004),
        (Some(("secret", "wrong")), 41008),
        (Some(("js_code", "unknown")), 40013),
        (Some(("appid", APP)), 40002),
        (Some(("grant_type", "authorization_code")), 40125),
        (Some(("secret", secret.as_str())), 40029),
    ] {
        if let Some((name, value)) = repair {
            sent.retain(|(sent, _)| *sent != name);
            sent.push((name, value));
        }
        let answer = wechat_json(sim.call(&sent).await.unwrap()).await;
        assert_eq!(answer["errcode"], errcode, "{answer}");
        assert_ends_with_rid(&sim, &answer).await;
    }
    let (status, answer) = sim.request(Method::POST, "/sns/jscode2session", Some(json!({}))).await;
    assert_eq!((status.as_u16(), &answer["errcode"]), (200, &json!(43001)));
}

/// ` rid: 8-8-8` hex, the first group the virtual time.
async fn assert_ends_with_rid(sim: &Sim, answer: &Value) {
    let (_, rid) = answer["errmsg"].as_str().unwrap().split_once(" rid: ").unwrap();
    let groups: Vec<&str> = rid.split('-').collect();
    assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 8, 8]);
    let stamped = u64::from_str_radix(groups[0], 16).unwrap();
    let now = sim.get("/sim/health").await["now_ms"].as_u64().unwrap() / 1000;
    assert!((now - 60..=now).contains(&stamped), "{stamped} {now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once_and_in_its_own_app() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    assert_eq!(sim.exchange(BOUND_APP, &code).await["errcode"], 40029);
    assert!(sim.exchange(APP, &code).await["errcode"].is_null());
    assert_eq!(sim.exchange(APP, &code).await["errcode"], 40163);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_lives_five_minutes_of_the_virtual_clock() {
    let sim = Sim::start().await;
    let before = sim.get("/sim/health").await["now_ms"].as_u64().unwrap();
    let [early, late] =
        [sim.code(json!({"appid": APP})).await, sim.code(json!({"appid": APP, "openid": "oLate"})).await];
    sim.post("/sim/clock", json!({"advance_ms": 240_000})).await;
    assert!(sim.exchange(APP, &early).await["errcode"].is_null());
    let now = sim.post("/sim/clock", json!({"advance_ms": 60_000})).await["now_ms"].as_u64().unwrap();
    assert!(now >= before + 300_000);
    assert_eq!(sim.exchange(APP, &late).await["errcode"], 40029);
    assert_eq!(sim.exchange(APP, &early).await["errcode"], 40029, "used and expired is expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_bring_one_code_one_wins() {
    let sim = Sim::start().await;
    let code = sim.code(json!({"appid": APP})).await;
    let (a, b, c, d) = tokio::join!(
        sim.exchange(APP, &code),
        sim.exchange(APP, &code),
        sim.exchange(APP, &code),
        sim.exchange(APP, &code)
    );
    let answers = [a, b, c, d];
    assert_eq!(answers.iter().filter(|answer| answer["openid"].is_string()).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer["errcode"] == 40163).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_code_is_not_a_login_code() {
    let sim = Sim::start().await;
    let phone = sim.post("/sim/phone-codes", json!({"appid": APP, "phone": "13800138000"})).await;
    let code = phone["code"].as_str().unwrap();
    assert!(code.len() == 64 && code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(sim.exchange(APP, code).await["errcode"], 40029);
}

#[tokio::test(flavor = "multi_thread")]
async fn percent_encoding_is_undone_and_the_first_of_two_counts() {
    let sim = Sim::start().await;
    sim.post("/sim/apps", json!({"appid": "wxOdd", "secret": "a+b&c=%d"})).await;
    let code = sim.code(json!({"appid": "wxOdd"})).await;
    let answer = sim
        .call(&[
            ("appid", "wxOdd"),
            ("secret", "a+b&c=%d"),
            ("secret", "other"),
            ("js_code", &code),
            ("grant_type", "authorization_code"),
        ])
        .await
        .unwrap();
    assert!(wechat_json(answer).await["openid"].is_string());
}
