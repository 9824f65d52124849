//! What an app asks about WeChat itself, and what only few apps ask.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{APP, BOUND_APP, Sim, hex, secret_of};

const CALLBACK: &str = "/cgi-bin/getcallbackip";

async fn post(sim: &Sim, path: &str, body: Value) -> Value {
    let token = sim.token(APP).await;
    sim.api(Method::POST, &format!("{path}?access_token={token}"), Some(body)).await
}

async fn get(sim: &Sim, appid: &str, path: &str) -> Value {
    let token = sim.token(appid).await;
    let joint = if path.contains('?') { '&' } else { '?' };
    sim.api(Method::GET, &format!("{path}{joint}access_token={token}"), None).await
}

/// Calls an interface that may be called once a day until it is refused.
async fn use_up(sim: &Sim) {
    sim.post("/sim/quotas", json!({ "appid": APP, "route": CALLBACK, "daily_limit": 1 })).await;
    while get(sim, APP, CALLBACK).await["ip_list"].is_array() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_that_are_cleared_begin_anew() {
    let sim = Sim::start().await;
    let works_again = async || {
        assert!(get(&sim, APP, CALLBACK).await["ip_list"].is_array());
        use_up(&sim).await;
    };
    use_up(&sim).await;
    assert_eq!(post(&sim, "/cgi-bin/clear_quota", json!({ "appid": APP })).await["errcode"], 0);
    works_again().await;
    let one = json!({ "cgi_path": CALLBACK });
    assert_eq!(post(&sim, "/cgi-bin/openapi/quota/clear", one).await["errcode"], 0);
    works_again().await;
    // By AppSecret, in the query or in the body; both share the ten times of a month with the one by token.
    let v2 = "/cgi-bin/clear_quota/v2";
    let query = format!("{v2}?appid={APP}&appsecret={}", secret_of(APP));
    let body = || json!({ "appid": APP, "appsecret": secret_of(APP) });
    assert_eq!(sim.api(Method::POST, &query, None).await["errcode"], 0);
    works_again().await;
    for _ in 3..=10 {
        assert_eq!(sim.api(Method::POST, v2, Some(body())).await["errcode"], 0);
    }
    assert_eq!(sim.api(Method::POST, v2, Some(body())).await["errcode"], 48006);
    assert_eq!(post(&sim, "/cgi-bin/clear_quota", json!({ "appid": APP })).await["errcode"], 48006);

    assert_eq!(post(&sim, "/cgi-bin/clear_quota", json!({ "appid": BOUND_APP })).await["errcode"], 40013);
    assert_eq!(post(&sim, "/cgi-bin/clear_quota", json!({})).await["errcode"], 41002);
    for (path, errcode) in [("/sns/jscode2session", 76022), ("/wxa/nothing", 76021), ("", 76003)] {
        let answer = post(&sim, "/cgi-bin/openapi/quota/clear", json!({ "cgi_path": path })).await;
        assert_eq!(answer["errcode"], errcode, "{path}");
    }
    for (appid, appsecret, errcode) in
        [("", "x", 41002), (APP, "", 41004), ("wxnobody", "x", 40013), (APP, "wrong", 40125)]
    {
        let body = json!({ "appid": appid, "appsecret": appsecret });
        assert_eq!(sim.api(Method::POST, v2, Some(body)).await["errcode"], errcode, "{appid}");
    }
    assert!(get(&sim, APP, "/cgi-bin/get_api_domain_ip").await["ip_list"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_found_by_its_trace_id() {
    let sim = Sim::start().await;
    let refused = post(&sim, "/wxa/business/getuserphonenumber", json!({ "code": "unknown" })).await;
    let (_, rid) = refused["errmsg"].as_str().unwrap().rsplit_once("rid: ").unwrap();
    let told = post(&sim, "/cgi-bin/openapi/rid/get", json!({ "rid": rid })).await;
    let request = &told["request"];
    assert_eq!((&told["errcode"], &request["request_url"]), (&json!(0), &json!("/wxa/business/getuserphonenumber")));
    assert_eq!(request["request_body"], "{\"code\":\"unknown\"}");
    let response: Value = serde_json::from_str(request["response_body"].as_str().unwrap()).unwrap();
    assert_eq!(response, refused);
    for (rid, errcode) in [("652d44d0-1d0af18b-5b069232", 76001), ("nothing", 76002), ("", 76002)] {
        assert_eq!(post(&sim, "/cgi-bin/openapi/rid/get", json!({ "rid": rid })).await["errcode"], errcode, "{rid}");
    }
    // The rid of another account's call.
    let foreign = get(&sim, BOUND_APP, "/wxa/checksession").await;
    let (_, foreign) = foreign["errmsg"].as_str().unwrap().rsplit_once("rid: ").unwrap();
    assert_eq!(post(&sim, "/cgi-bin/openapi/rid/get", json!({ "rid": foreign })).await["errcode"], 76003);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_paid_has_a_unionid_for_five_minutes() {
    let sim = Sim::start().await;
    let login = async |appid: &str| {
        let code = sim.code(json!({ "appid": appid, "openid": "oAlice" })).await;
        sim.exchange(appid, &code).await
    };
    let unionid = login(BOUND_APP).await["unionid"].clone();
    let paid = sim.post("/sim/payments", json!({ "appid": BOUND_APP, "openid": "oAlice" })).await;
    let text = |name: &str| paid[name].as_str().unwrap().to_owned();
    let path = "/wxa/getpaidunionid";
    let by_id = format!("{path}?openid=oAlice&transaction_id={}", text("transaction_id"));
    let by_order = format!("{path}?openid=oAlice&mch_id={}&out_trade_no={}", text("mch_id"), text("out_trade_no"));
    for query in [&by_id, &by_order] {
        assert_eq!(get(&sim, BOUND_APP, query).await, json!({ "errcode": 0, "errmsg": "ok", "unionid": unionid }));
    }
    let wrong = [
        (BOUND_APP, format!("{path}?openid=oAlice&transaction_id=42"), 89300),
        (BOUND_APP, format!("{path}?openid=oAlice"), 89300),
        (BOUND_APP, by_id.replace("oAlice", "oNobody"), 40003),
    ];
    for (appid, query, errcode) in wrong {
        assert_eq!(get(&sim, appid, &query).await["errcode"], errcode, "{query}");
    }
    login(APP).await;
    assert_eq!(get(&sim, APP, &by_id).await["errcode"], 89002, "the app is in no union group");
    sim.post("/sim/clock", json!({ "advance_ms": 300_000 })).await;
    assert_eq!(get(&sim, BOUND_APP, &by_id).await["errcode"], 89300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mini_program_and_its_server_have_the_same_keys() {
    let sim = Sim::start().await;
    let code = sim.code(json!({ "appid": APP, "openid": "oAlice" })).await;
    let key = sim.exchange(APP, &code).await["session_key"].as_str().unwrap().to_owned();
    let signature = hex(&Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().finalize().into_bytes());
    let person = json!({ "appid": APP, "openid": "oAlice" });
    let latest = sim.post("/sim/encrypt-keys", person).await;
    let ask = async |signature: &str| {
        let query = format!("openid=oAlice&signature={signature}&sig_method=hmac_sha256");
        get(&sim, APP, &format!("/wxa/business/getuserencryptkey?{query}")).await
    };
    let told = ask(&signature).await;
    let newest = &told["key_info_list"][0];
    assert_eq!((&newest["encrypt_key"], &newest["version"]), (&latest["encryptKey"], &latest["version"]));
    assert_eq!((&newest["iv"], newest["iv"].as_str().unwrap().len()), (&latest["iv"], 16));
    assert_eq!(ask("00").await["errcode"], 87009);
}
