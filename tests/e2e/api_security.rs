//! An operator gives the keys of a mini-program from WeChat's console: calls that WeChat takes signed and encrypted go out so.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{APP, Gateway, OTHER_APP, Operator, Reply};

/// What the operator sends of what WeChat's console shows.
fn keys(console: &Value) -> Value {
    json!({
        "symmetric_serial": console["symmetric_serial"], "symmetric_key": console["symmetric_key"],
        "private_serial": console["private_serial"], "private_key": console["private_key"],
        "certificate_serial": console["certificate_serial"], "certificate": console["certificate"],
    })
}

async fn set(operator: &Operator, keys: &Value) -> Reply {
    operator.send(operator.request(Method::PUT, &format!("/apps/{APP}/api-security")).json(keys)).await
}

/// A call that WeChat takes signed: what is left of a quota, or why WeChat does not tell.
async fn quota(operator: &Operator) -> Value {
    let path = format!("/apps/{APP}/wechat-calls?quota_of=/wxa/business/getuserphonenumber");
    operator.get(&path).await.ok()["quota"].clone()
}

/// What the doctor says of signed calls.
async fn finding(gateway: &Gateway) -> (String, String) {
    let output = gateway.command(["doctor", "--json"]).run().await;
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let findings = told.as_array().or_else(|| told["findings"].as_array()).unwrap();
    let mine = findings.iter().find(|finding| {
        let what = finding["what"].as_str().unwrap();
        what.contains("signed") || what.contains("certificate")
    });
    let text = |name: &str| mine.unwrap_or_else(|| panic!("{told}"))[name].as_str().unwrap().to_owned();
    (text("level"), text("what"))
}

#[tokio::test]
async fn calls_go_out_signed_and_keys_rotate_without_a_gap() {
    let gateway = Gateway::dev().await;
    let (operator, simulator) = (gateway.operator(), gateway.simulator());
    assert_eq!(quota(&operator).await["remain"], 1_000_000, "plain, as long as WeChat takes it so");
    let console = simulator.api_security(Method::POST, "", APP).await;
    assert!(quota(&operator).await["refused"].as_str().unwrap().contains("40233"));

    let app = set(&operator, &keys(&console)).await;
    for secret in ["symmetric_key", "private_key"] {
        assert!(!app.text.contains(console[secret].as_str().unwrap().trim()), "{}", app.text);
    }
    let first = app.ok()["api_security"]["current"].clone();
    assert_eq!(first["symmetric_key"]["serial"], console["symmetric_serial"]);
    assert_eq!(first["private_key"]["fingerprint"].as_str().unwrap().len(), 16);
    assert_eq!(quota(&operator).await["remain"], 1_000_000);
    assert_eq!(finding(&gateway).await.0, "ok");

    // WeChat announces its next certificate: everything works, and the doctor says what to do.
    let next = simulator.api_security(Method::POST, "/certificate", APP).await;
    assert_eq!(quota(&operator).await["remain"], 1_000_000);
    let (level, what) = finding(&gateway).await;
    assert!(level == "advice" && what.contains("certificate"), "{level}: {what}");
    let only = json!({ "certificate_serial": next["certificate_serial"], "certificate": next["certificate"] });
    let app = set(&operator, &only).await.ok();
    assert_eq!(app["api_security"]["previous"], first);
    assert_eq!(app["api_security"]["current"]["private_key"], first["private_key"], "what is left out stays");
    simulator.api_security(Method::DELETE, "/certificate", APP).await;
    assert_eq!(quota(&operator).await["remain"], 1_000_000);
    assert_eq!(finding(&gateway).await.0, "ok");

    // Keys that WeChat does not know yet: those before serve until it does.
    let unknown = simulator.api_security(Method::POST, "", OTHER_APP).await;
    let mut new = keys(&unknown);
    for name in ["certificate_serial", "certificate"] {
        new[name] = next[name].clone();
    }
    set(&operator, &new).await.ok();
    assert_eq!(quota(&operator).await["remain"], 1_000_000);
    operator.delete(&format!("/apps/{APP}/api-security/previous")).await.status_is(204);
    assert!(quota(&operator).await["refused"].as_str().unwrap().contains("40234"));
    operator.delete(&format!("/apps/{APP}/api-security")).await.status_is(204);
    assert!(quota(&operator).await["refused"].as_str().unwrap().contains("40233"));
}

/// Whoever stands between WeChat and us may change, forge, keep and repeat answers: none of that is an answer.
#[tokio::test]
async fn an_answer_whose_protection_does_not_hold_is_none() {
    let gateway = Gateway::dev().await;
    let (operator, simulator) = (gateway.operator(), gateway.simulator());
    let console = simulator.api_security(Method::POST, "", APP).await;
    set(&operator, &keys(&console)).await.ok();
    assert_eq!(quota(&operator).await["remain"], 1_000_000);
    for (kind, told) in [
        ("wrong_serial", "platform key that is not known"),
        ("wrong_signature", "signature does not fit"),
        ("wrong_aad", "does not open"),
        ("old_timestamp", "too old"),
        ("replayed", "came before"),
        ("in_clear", "in clear"),
    ] {
        simulator.fault(json!({ "route": "/cgi-bin/openapi/quota/get", "kind": kind })).await;
        let quota = quota(&operator).await;
        assert!(
            quota["refused"].as_str().unwrap_or_else(|| panic!("{kind}: {quota}")).contains(told),
            "{kind}: {quota}"
        );
    }
    assert_eq!(quota(&operator).await["remain"], 1_000_000, "the next answer is as good as before");

    // What an operator deleted in WeChat's console.
    for (key, errcode) in [("symmetric_key", "40238"), ("public_key", "40239")] {
        simulator.take_back("/sim/api-security/keys", &json!({ "appid": APP, "key": key })).await;
        assert!(quota(&operator).await["refused"].as_str().unwrap().contains(errcode), "{key}");
    }
}

#[tokio::test]
async fn what_is_no_key_or_lacks_its_number_is_refused() {
    let gateway = Gateway::dev().await;
    let operator = gateway.operator();
    let console = gateway.simulator().api_security(Method::POST, "", APP).await;
    let good = keys(&console);
    for (name, wrong) in [
        ("symmetric_key", json!("AAAA")),
        ("private_key", console["certificate"].clone()),
        ("certificate", console["private_key"].clone()),
        ("certificate_serial", json!("a|b")),
        ("private_serial", Value::Null),
        ("certificate", Value::Null),
    ] {
        let mut keys = good.clone();
        keys[name] = wrong;
        set(&operator, &keys).await.refused(400, "REQUEST_INVALID");
    }
    assert!(operator.get(&format!("/apps/{APP}")).await.ok()["api_security"].is_null());
}

#[tokio::test]
async fn keys_come_from_files_and_show_nowhere() {
    let gateway = Gateway::dev().env("WXGATE__LOG__LEVEL", "trace").await;
    let console = gateway.simulator().api_security(Method::POST, "", APP).await;
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| console[name].as_str().unwrap();
    for name in ["symmetric_key", "private_key", "certificate"] {
        std::fs::write(folder.path().join(name), text(name)).unwrap();
    }
    let command = [
        ["app", "api-security", "set", APP].as_slice(),
        &["--symmetric-serial", text("symmetric_serial"), "--symmetric-key-file", "symmetric_key"],
        &["--private-serial", text("private_serial"), "--private-key-file", "private_key"],
        &["--certificate-serial", text("certificate_serial"), "--certificate-file", "certificate"],
    ]
    .concat();
    let command = crate::harness::cli::wxgate(command).config(&gateway.config()).folder(folder.path());
    command.asking(gateway.simulator().url()).run().await.ok();
    let told = gateway.command(["app", "show", APP]).run().await.ok();
    assert!(told.contains("signs and encrypts") && told.contains(text("certificate_serial")), "{told}");
    assert_eq!(quota(&gateway.operator()).await["remain"], 1_000_000);

    let lines: Vec<_> = text("private_key").lines().filter(|line| line.len() > 64).collect();
    let stored = std::fs::read(gateway.data().join("wxgate.db")).unwrap();
    let wal = std::fs::read(gateway.data().join("wxgate.db-wal")).unwrap_or_default();
    let everything = [gateway.log().into_bytes(), told.into_bytes(), stored, wal].concat();
    for secret in lines.iter().copied().chain([text("symmetric_key")]) {
        let found = everything.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a key lies open");
    }
}
