//! The same story on each database, with `serve` and everything prepared by commands.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::database::{Engine, TestDatabase};
use crate::harness::{APP, Gateway, OTHER_APP, all_equal, jwt};

/// The stories as tests of one engine's module, which is how a run of one engine finds them.
macro_rules! on {
    ($($module:ident $engine:expr;)*) => {$(
        mod $module {
            use super::Engine;

            #[tokio::test]
            async fn a_day_of_logins() {
                super::a_day_of_logins($engine).await;
            }

            #[tokio::test]
            async fn openids_that_differ_in_case_alone_are_two_people() {
                super::openids_that_differ_in_case_alone_are_two_people($engine).await;
            }
        }
    )*};
}

on! {
    sqlite Engine::Sqlite;
    postgres Engine::Postgres;
    mysql Engine::MySql;
}

async fn a_day_of_logins(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let gateway = Gateway::serve(database).await;
    let (client, simulator) = (gateway.client(), gateway.simulator());

    let issued = simulator.code(APP).await;
    let first = client.login_with(APP, &issued.code).await.ok();
    assert_eq!(first["user"]["is_new"], true);
    jwt::verify(&gateway, "demo", APP, &first["access_token"]).await.unwrap();

    // The same person again, in the other mini-program, and with a profile.
    let again = simulator.code_of(APP, &issued.openid).await;
    let profile = json!({ "appid": APP, "openid": issued.openid, "kind": "user_info", "nickname": "阿白 🙂" });
    let sealed = simulator.encrypt(&profile).await;
    let body = json!({ "code": again.code, "encryptedData": sealed.encrypted_data, "iv": sealed.iv });
    let next = client.login(APP, &body).await.ok();
    assert_eq!((&next["user"]["id"], &next["user"]["is_new"]), (&first["user"]["id"], &json!(false)));
    assert_eq!(next["user"]["nickname"], "阿白 🙂");
    let elsewhere = simulator.issue(&json!({ "appid": OTHER_APP, "unionid": issued.unionid })).await;
    let elsewhere = client.login_with(OTHER_APP, &elsewhere.code).await.ok();
    assert_eq!((&elsewhere["user"]["id"], &elsewhere["user"]["is_new"]), (&first["user"]["id"], &json!(false)));
    assert_eq!(elsewhere["user"]["nickname"], "阿白 🙂");

    // One person taps from eight devices at once, in both mini-programs: one user, eight sessions.
    let mut codes = Vec::new();
    for device in 0..8 {
        let appid = if device % 2 == 0 { APP } else { OTHER_APP };
        let person = json!({ "appid": appid, "openid": format!("oCrowd-{appid}"), "unionid": "oCrowd" });
        codes.push((appid, simulator.issue(&person).await.code));
    }
    let replies: Vec<Value> =
        join_all(codes.iter().map(async |(appid, code)| client.login_with(appid, code).await.ok())).await;
    all_equal(replies.iter().map(|reply| &reply["user"]["id"]));
    let mut sessions: Vec<_> = replies.iter().map(|reply| reply["session_id"].as_str().unwrap()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    assert_eq!(sessions.len(), 8);
    let new = replies.iter().filter(|reply| reply["user"]["is_new"] == true).count();
    assert_eq!(new, 1, "one of them was the first");
}

async fn openids_that_differ_in_case_alone_are_two_people(engine: Engine) {
    let Some(database) = TestDatabase::create(engine).await else { return };
    let gateway = Gateway::serve(database).await;
    let mut ids = Vec::new();
    for openid in ["oCaseCaseCase", "ocasecasecase", "OCASECASECASE"] {
        let issued = gateway.simulator().issue(&json!({ "appid": APP, "openid": openid })).await;
        let user = gateway.client().login_with(APP, &issued.code).await.ok()["user"].clone();
        assert_eq!((&user["is_new"], &user["openid"]), (&json!(true), &json!(openid)));
        ids.push(user["id"].as_str().unwrap().to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
