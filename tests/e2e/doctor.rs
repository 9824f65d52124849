//! `wxgate doctor`: what is well, what could be better, what is wrong, and what to do about it.

use serde_json::{Value, json};

use crate::harness::cli::wxgate;
use crate::harness::gateway::Gateway;

const ADVICE: i32 = 1;
const PROBLEM: i32 = 2;
const APP: &str = "wx000000000000de01";

/// The exit status, and the findings as JSON.
async fn examined(gateway: &Gateway) -> (i32, Vec<Value>) {
    // A trial's simulator is where this start of it put it.
    let doctor = wxgate(["doctor", "--json"]).config(&gateway.data().join("wxgate.toml"));
    let doctor = doctor.env("WXGATE__WECHAT__URL", gateway.simulator().url());
    let output = doctor.env("WXGATE__WECHAT__ALLOW_OTHER_HOSTS", "true").run().await;
    let findings: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.code, findings.as_array().unwrap().clone())
}

fn about<'a>(findings: &'a [Value], subject: &str) -> Vec<&'a Value> {
    findings.iter().filter(|finding| finding["subject"] == subject).collect()
}

#[tokio::test]
async fn a_trial_works_and_could_be_better() {
    let gateway = Gateway::dev().await;
    let (status, findings) = examined(&gateway).await;
    assert_eq!(status, ADVICE, "{findings:#?}");
    for subject in [
        "configuration",
        "public_url",
        "database",
        "schema",
        "backups",
        "erasures",
        "wechat",
        "master key",
        "audit",
        "signing keys",
    ] {
        assert!(!about(&findings, subject).is_empty(), "{subject} is missing in {findings:#?}");
    }
    assert!(findings.iter().all(|finding| finding["level"] != "problem"), "{findings:#?}");
    assert_eq!(about(&findings, &format!("app {APP}")).len(), 2, "its secret and its access_token");
    let advised: Vec<_> = findings.iter().filter(|finding| finding["level"] == "advice").collect();
    assert!(advised.iter().all(|finding| finding["advice"].as_str().is_some_and(|advice| advice.len() > 20)));
    let text = Value::from(findings).to_string();
    assert!(
        text.contains("belongs to a trial") && text.contains("never expires") && text.contains("no https"),
        "{text}"
    );

    // The same through the running gateway, for operators alone.
    let key_file = gateway.data().join("admin-key").display().to_string();
    let remote = ["doctor", "--url", gateway.admin().base(), "--key-file", &key_file];
    let told = wxgate(remote).run().await;
    assert_eq!(told.code, ADVICE, "{}", told.stderr);
    assert!(told.stdout.contains("ok       schema: is up to date"), "{}", told.stdout);
    let admin = gateway.operator().admin_of("demo").await;
    admin.post("/doctor", &json!({})).await.refused(403, "NOT_GRANTED");
}

#[tokio::test]
async fn what_wechat_refuses_comes_with_what_to_do() {
    let gateway = Gateway::dev().await;
    let fault = json!({"route": "stable_token", "kind": "errcode", "errcode": 40164, "appid": APP});
    gateway.simulator().fault(fault).await;
    let (status, findings) = examined(&gateway).await;
    assert_eq!(status, PROBLEM);
    let told = about(&findings, &format!("app {APP}"));
    let problem = told.iter().find(|finding| finding["level"] == "problem").unwrap();
    assert!(problem["what"].as_str().unwrap().contains("40164"), "{problem}");
    assert!(problem["advice"].as_str().unwrap().contains("203.0.113.7"), "our own address is named: {problem}");
    assert!(told.iter().any(|finding| finding["what"] == "WeChat accepts the secret"), "{told:?}");

    gateway.simulator().put_app(APP, "0123456789abcdef0123456789abcde0", None).await;
    let (status, findings) = examined(&gateway).await;
    let told = about(&findings, &format!("app {APP}"));
    assert_eq!((status, told.iter().filter(|finding| finding["level"] == "problem").count()), (PROBLEM, 2));
    assert!(
        told.iter().all(|finding| finding["advice"].as_str().unwrap().contains("wxgate app rotate-secret")),
        "{told:?}"
    );

    for kind in ["html", "empty", "truncated", "missing_field", "status_500", "reset_before"] {
        gateway.simulator().fault(json!({"route": "stable_token", "kind": kind, "times": 2})).await;
        let (status, findings) = examined(&gateway).await;
        assert_eq!(status, PROBLEM, "{kind}: {findings:#?}");
        gateway.simulator().clear_faults().await;
    }
}

#[tokio::test]
async fn what_does_not_start_is_explained_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("wxgate.toml");
    std::fs::write(&config, "public_url = \"ftp://x\"\nnonsense = 1\n").unwrap();
    let told = wxgate(["doctor"]).config(&config).run().await;
    assert_eq!(told.code, PROBLEM, "{}", told.stderr);
    for part in ["problem  configuration", "public_url", "nonsense", "master_key.value"] {
        assert!(told.stdout.contains(part), "{}", told.stdout);
    }
    let nobody = wxgate(["doctor", "--json"]).config(&folder.path().join("none.toml")).run().await;
    assert_eq!(nobody.code, PROBLEM);
    assert!(nobody.stdout.contains("none.toml"), "{}", nobody.stdout);
}
