//! A unionid that appears and is another user's (security test 34): what each policy makes of it.

use serde_json::{Value, json};

use crate::harness::wechat::{Answer, Wechat};
use crate::harness::{APP, Gateway, OTHER_APP, Operator, PATIENCE, within};

/// A WeChat that reads the person from the code: `{openid}-{unionid or none}-{anything}`.
async fn wechat_of_spelled_codes() -> Wechat {
    Wechat::start(|request| {
        let (_, rest) = request.split_once("js_code=").unwrap();
        let code = rest.split(['&', ' ']).next().unwrap();
        let mut parts = code.split('-');
        let (openid, unionid) = (parts.next().unwrap(), parts.next().unwrap());
        let mut answer = json!({ "openid": openid, "session_key": "AAAAAAAAAAAAAAAAAAAAAA==" });
        if unionid != "none" {
            answer["unionid"] = json!(unionid);
        }
        Answer::body(answer.to_string())
    })
    .await
}

async fn login(gateway: &Gateway, appid: &str, code: &str) -> Value {
    gateway.client().login_with(appid, code).await.ok()["user"]["id"].clone()
}

/// Somebody whom a login joined; the policy is in force within a quarter of a second.
async fn joined_by_the_policy(gateway: &Gateway) -> Value {
    within(PATIENCE, "a login joins by the policy", async || {
        let number = candidates(gateway).await.len();
        let (late, holder) = (format!("oLate{number}"), format!("oHolder{number}"));
        let first = login(gateway, APP, &format!("{late}-none-1")).await;
        login(gateway, OTHER_APP, &format!("{holder}-u{number}-1")).await;
        login(gateway, APP, &format!("{late}-u{number}-2")).await;
        let now = login(gateway, OTHER_APP, &format!("{holder}-u{number}-3")).await;
        (now == first).then_some(first)
    })
    .await
}

async fn candidates(gateway: &Gateway) -> Vec<Value> {
    gateway.operator().get("/merge-candidates?tenant=demo").await.ok()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_late_unionid_is_a_candidate_and_nothing_more_unless_the_tenant_says_so() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let early = login(&gateway, APP, "oA-none-1").await;
    let holder = login(&gateway, OTHER_APP, "oB-uA-2").await;
    assert_eq!(login(&gateway, APP, "oA-uA-3").await, early);
    let found = candidates(&gateway).await;
    assert_eq!((found.len(), &found[0]["cause"]), (1, &json!("unionid")));
    assert_eq!((&found[0]["user"], &found[0]["other"]), (&early, &holder));
    // It disappears, and appears again: the same.
    assert_eq!(login(&gateway, APP, "oA-none-4").await, early);
    assert_eq!(login(&gateway, APP, "oA-uA-5").await, early);
    assert_eq!(candidates(&gateway).await.len(), 1);
}

#[tokio::test]
async fn the_policy_oldest_joins_at_once_and_never_for_a_unionid_that_changes() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    gateway.command(["tenant", "policy", "demo", "--merge", "oldest"]).run().await.ok();
    let early = login(&gateway, APP, "oA-none-1").await;
    assert_ne!(joined_by_the_policy(&gateway).await, early);

    let holder = login(&gateway, OTHER_APP, "oB-uB-1").await;
    let known = login(&gateway, APP, "oC-uC-1").await;
    assert_eq!(login(&gateway, APP, "oC-uB-2").await, known);
    assert_eq!(login(&gateway, OTHER_APP, "oB-uB-3").await, holder);
    let causes: Vec<_> = candidates(&gateway).await.iter().map(|found| found["cause"].clone()).collect();
    assert!(causes.contains(&json!("unionid_changed")), "{causes:?}");
}

/// Found while the policy was another one: whoever of both logs in next is merged, not the one who was told apart.
#[tokio::test]
async fn a_candidate_from_before_the_policy_is_merged_when_one_of_both_logs_in() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let mut pairs = Vec::new();
    for name in ["A", "B", "C"] {
        let early = login(&gateway, APP, &format!("oLate{name}-none-1")).await;
        let holder = login(&gateway, OTHER_APP, &format!("oHolder{name}-u{name}-2")).await;
        assert_eq!(login(&gateway, APP, &format!("oLate{name}-u{name}-3")).await, early);
        pairs.push((early, holder));
    }
    let found = candidates(&gateway).await;
    assert_eq!(found.len(), 3);
    let apart = found.iter().find(|found| found["user"] == pairs[2].0).unwrap()["id"].as_str().unwrap();
    gateway.command(["merge", "dismiss", "--tenant", "demo", apart]).run().await.ok();
    gateway.command(["tenant", "policy", "demo", "--merge", "oldest"]).run().await.ok();

    joined_by_the_policy(&gateway).await;
    // By either side.
    assert_eq!(login(&gateway, OTHER_APP, "oHolderA-uA-4").await, pairs[0].0);
    assert_eq!(login(&gateway, APP, "oLateA-uA-5").await, pairs[0].0);
    assert_eq!(login(&gateway, APP, "oLateB-uB-4").await, pairs[1].0);
    assert_eq!(login(&gateway, OTHER_APP, "oHolderB-uB-5").await, pairs[1].0);
    assert_eq!(login(&gateway, APP, "oLateC-uC-4").await, pairs[2].0);
    assert_eq!(login(&gateway, OTHER_APP, "oHolderC-uC-5").await, pairs[2].1, "told apart");
    let open = Value::from(candidates(&gateway).await).to_string();
    assert!(pairs.iter().all(|(early, _)| !open.contains(early.as_str().unwrap())), "{open}");
}

/// Binds an app to the union group of the trial, and waits until all its users are in it.
async fn bind(operator: &Operator, appid: &str) {
    let body = json!({"tenant": "demo", "app": appid});
    let job = operator.post("/union-groups/demo/join", &body).await.ok()["id"].as_str().unwrap().to_owned();
    within(PATIENCE, "the job is done", async || {
        (operator.get(&format!("/jobs/{job}")).await.ok()["state"] == "done").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_app_that_moved_to_another_account_joins_nobody_by_its_new_unionids() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let (alone, operator) = ("wx0000000000000a12", gateway.operator());
    gateway.add_app("demo", alone, None).await;
    let ada = login(&gateway, alone, "oAda-uOld1-1").await;
    let eve = login(&gateway, alone, "oEve-uOld2-2").await;
    let holder = login(&gateway, APP, "oEveToo-uEve-3").await;
    assert_eq!(login(&gateway, alone, "oAda-uAda-4").await, ada);
    assert_eq!(login(&gateway, alone, "oEve-uEve-5").await, eve);
    login(&gateway, alone, "oBob-uBob-6").await;

    let report = operator.get(&format!("/union-groups/demo/report?tenant=demo&app={alone}")).await.ok();
    let counts = ["with_unionid", "changed", "joining", "joined", "candidates"].map(|name| report[name].clone());
    assert_eq!(counts, [3, 1, 1, 0, 1].map(|count| json!(count)));
    bind(&operator, alone).await;
    let found = candidates(&gateway).await;
    assert_eq!((found.len(), &found[0]["cause"]), (1, &json!("unionid_changed")));
    assert_ne!(login(&gateway, APP, "oAdaToo-uAda-7").await, ada, "a unionid that changed leads to nobody");
    assert_eq!(login(&gateway, APP, "oEveToo-uEve-8").await, holder);
}

#[tokio::test]
async fn an_app_is_bound_to_a_group_while_it_serves() {
    let wechat = wechat_of_spelled_codes().await;
    let gateway = Gateway::dev().wechat_url(wechat.url()).await;
    let (alone, operator) = ("wx0000000000000a11", gateway.operator());
    gateway.add_app("demo", alone, None).await;
    let ada = login(&gateway, alone, "oAda-uAda-1").await;
    let eve = login(&gateway, alone, "oEve-uEve-2").await;
    let holder = login(&gateway, APP, "oEve-uEve-3").await;
    assert_ne!(eve, holder);
    login(&gateway, alone, "oNobody-none-4").await;

    let report = operator.get(&format!("/union-groups/demo/report?tenant=demo&app={alone}")).await.ok();
    let expected = json!({
        "identities": 3, "with_unionid": 2, "changed": 0, "joining": 1, "joined": 0, "candidates": 1,
        "samples": [{"user": eve, "other": holder}],
    });
    assert_eq!(report, expected);
    assert!(candidates(&gateway).await.is_empty(), "a report changes nothing");

    bind(&operator, alone).await;
    assert_eq!(login(&gateway, APP, "oAdaToo-uAda-5").await, ada);
    assert_eq!(login(&gateway, alone, "oEve-uEve-6").await, eve);
    let found = candidates(&gateway).await;
    assert_eq!((found.len(), &found[0]["cause"]), (1, &json!("union_group")));
    let report = operator.get(&format!("/union-groups/demo/report?tenant=demo&app={alone}")).await.ok();
    assert_eq!((&report["joining"], &report["joined"]), (&json!(0), &json!(1)));
}
