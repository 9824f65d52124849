//! How to try each route of the public listener with what another tenant gave out.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::document::Operation;
use super::estate::Estate;
use crate::harness::oauth::{ACCESS_TOKEN, EXCHANGE, post};
use crate::harness::{Gateway, Reply};

/// Every route. Those that `try_everything` has no branch for are anybody's: they ask for no token and no client, and
/// tell what everybody may know.
pub(super) const KNOWN: &[&str] = &[
    "login",
    "refresh",
    "logout",
    "showMe",
    "changeMe",
    "bindPhone",
    "releasePhone",
    "checkSessionKey",
    "accessToken",
    "reportDeadAccessToken",
    "eraseMe",
    "decrypt",
    "link",
    "merge",
    "listMySessions",
    "endMySession",
    "tutorialLogin",
    "tutorialLoginByGet",
    "tutorialLoginOfApp",
    "tutorialLoginOfAppByGet",
    "openidConfiguration",
    "authorizationServerMetadata",
    "tenantKeys",
    "sharedKeys",
    "token",
    "introspect",
    "revoke",
    "revocations",
    "forwardAuth",
    "verifyPush",
    "receivePush",
    "receivePlatformPush",
    "finishPlatformAuthorization",
    "live",
    "ready",
];

/// Tries a route in every way in which something of `theirs` could be reached with what is `mine`; fails where it is.
/// Returns the answers, in which nothing of theirs may stand.
#[expect(clippy::too_many_lines, reason = "an arm for each route")]
pub(super) async fn try_everything(gateway: &Gateway, id: &str, mine: &Estate, theirs: &Estate) -> Vec<Reply> {
    let client = gateway.client();
    let mine_asks = |method, path: &str| client.request(method, path).bearer_auth(mine.token());
    let mut replies = Vec::new();
    match id {
        // A user sees and changes themself, whatever else the request says.
        "showMe" => {
            replies.push(sent(gateway, mine_asks(Method::GET, "/v1/me").header("X-App-Id", &theirs.appid), 200).await);
        }
        "changeMe" => {
            let body = json!({"nickname": "me", "id": theirs.login["user"]["id"], "tenant": theirs.slug});
            replies.push(sent(gateway, mine_asks(Method::PATCH, "/v1/me").json(&body), 200).await);
        }
        // A fresh code of somebody else proves nothing; neither does one of another mini-program.
        "eraseMe" => {
            let openid = theirs.login["user"]["openid"].as_str().unwrap();
            let code = gateway.simulator().code_of(&theirs.appid, openid).await.code;
            let body = json!({"code": code, "user": theirs.login["user"]["id"]});
            replies.push(sent(gateway, mine_asks(Method::DELETE, "/v1/me").json(&body), 400).await);
        }
        "decrypt" => {
            let openid = theirs.login["user"]["openid"].as_str().unwrap();
            let sealed = gateway.simulator().user_info(&theirs.appid, openid).await;
            let body = json!({"encryptedData": sealed.encrypted_data, "iv": sealed.iv, "appid": theirs.appid});
            replies.push(sent(gateway, mine_asks(Method::POST, "/v1/me/decrypt").json(&body), 409).await);
        }
        // A phone code is one user's, of one mini-program; and only a fresh code of the same user lets a number go.
        "bindPhone" => {
            let theirs_openid = theirs.login["user"]["openid"].as_str().unwrap();
            let code = gateway.simulator().phone_code_of(&theirs.appid, theirs_openid, "13800138009").await;
            let proof = gateway.simulator().code_of(&mine.appid, mine.login["user"]["openid"].as_str().unwrap()).await;
            let body = json!({"phoneCode": code, "move": true, "code": proof.code, "id": theirs.login["user"]["id"]});
            replies.push(sent(gateway, mine_asks(Method::POST, "/v1/me/phone").json(&body), 400).await);
        }
        "releasePhone" => {
            let code = gateway.simulator().code(&theirs.appid).await.code;
            let ask = mine_asks(Method::DELETE, "/v1/me/phone").json(&json!({ "code": code }));
            let reply = client.send(ask).await;
            assert_eq!(reply.status / 100, 4, "{}", reply.text);
            replies.push(reply);
        }
        "link" | "merge" => replies.push(joined(gateway, id, mine, theirs).await),
        "listMySessions" => replies.push(sent(gateway, mine_asks(Method::GET, "/v1/me/sessions"), 200).await),
        "endMySession" => {
            let session = theirs.login["session_id"].as_str().unwrap();
            replies.push(sent(gateway, mine_asks(Method::DELETE, &format!("/v1/me/sessions/{session}")), 404).await);
        }
        "logout" => {
            let body = json!({"scope": "others", "session_id": theirs.login["session_id"], "tenant": theirs.slug});
            replies.push(sent(gateway, mine_asks(Method::POST, "/v1/logout").json(&body), 200).await);
            // A fresh code of somebody else proves nothing.
            let code = gateway.simulator().code(&theirs.appid).await.code;
            let body = json!({"scope": "all", "code": code});
            let reply = client.send(mine_asks(Method::POST, "/v1/logout").json(&body)).await;
            assert_eq!(reply.status / 100, 4, "{}", reply.text);
            replies.push(reply);
        }
        // A refresh token at the other tenant's endpoint, and with the other's app.
        "token" => {
            let refresh_token = mine.login["refresh_token"].as_str().unwrap();
            for (tenant, appid) in [(theirs, mine), (theirs, theirs), (mine, theirs)] {
                let form =
                    [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("client_id", &appid.appid)];
                let reply = post(client, &tenant.slug, "token", None, &form).await;
                assert_eq!(reply.status / 100, 4, "{}", reply.text);
                replies.push(reply);
            }
            let own = [("grant_type", "client_credentials")];
            replies.push(refused(post(client, &theirs.slug, "token", Some(&mine.client), &own).await, 401));
            // Their user's token for one's own audience; and a token of one's own for theirs.
            for (subject, audience) in [(theirs, mine), (mine, theirs)] {
                let form = [
                    ("grant_type", EXCHANGE),
                    ("subject_token", subject.token()),
                    ("subject_token_type", ACCESS_TOKEN),
                    ("audience", &audience.audience),
                ];
                replies.push(refused(post(client, &mine.slug, "token", Some(&mine.client), &form).await, 400));
            }
        }
        "introspect" => {
            let token = [("token", theirs.token())];
            let reply = post(client, &mine.slug, "introspect", Some(&mine.client), &token).await;
            assert_eq!(reply.ok(), json!({"active": false}));
            replies.push(reply);
            replies.push(refused(post(client, &theirs.slug, "introspect", Some(&mine.client), &token).await, 401));
        }
        "revoke" => {
            for token in [&theirs.login["access_token"], &theirs.login["refresh_token"]] {
                let form = [("token", token.as_str().unwrap())];
                // Of a token that is none here nothing is told, and nothing ends.
                replies.push(post(client, &mine.slug, "revoke", Some(&mine.client), &form).await);
                replies.push(refused(post(client, &theirs.slug, "revoke", Some(&mine.client), &form).await, 401));
                let form = [form[0], ("client_id", mine.appid.as_str())];
                replies.push(post(client, &mine.slug, "revoke", None, &form).await);
                replies.push(post(client, &theirs.slug, "revoke", None, &form).await);
            }
        }
        "checkSessionKey" => {
            let body = json!({"reset": false, "appid": theirs.appid, "openid": theirs.login["user"]["openid"]});
            replies.push(sent(gateway, mine_asks(Method::POST, "/v1/me/session-check").json(&body), 200).await);
        }
        "accessToken" | "reportDeadAccessToken" => {
            let path = format!("/v1/apps/{}/access-token", theirs.appid);
            let ask = match id {
                "accessToken" => client.request(Method::GET, &path),
                _ => client.request(Method::POST, &format!("{path}/dead")).json(&json!({"digest": "00".repeat(32)})),
            };
            replies.push(sent(gateway, ask.basic_auth(&mine.client.id, Some(&mine.client.secret)), 401).await);
        }
        "revocations" => {
            let ask = client.request(Method::GET, &format!("/t/{}/revocations", theirs.slug));
            let ask = ask.basic_auth(&mine.client.id, Some(&mine.client.secret));
            replies.push(sent(gateway, ask, 401).await);
        }
        "receivePlatformPush" => try_platform_pushes(gateway, mine, theirs).await,
        "finishPlatformAuthorization" => {
            let path = format!("/wechat/platform/{}/authorized?auth_code=any&state=any", theirs.platform);
            replies.push(sent(gateway, mine_asks(Method::GET, &path), 403).await);
        }
        "verifyPush" => try_verification(gateway, mine, theirs).await,
        "receivePush" => try_pushes(gateway, mine, theirs).await,
        "forwardAuth" => {
            replies.push(sent(gateway, mine_asks(Method::GET, &format!("/forward-auth/{}", theirs.policy)), 401).await);
            // Neither query nor header chooses whose policy counts.
            let asked = mine_asks(Method::GET, &format!("/forward-auth/{}?tenant={}", theirs.policy, mine.slug));
            replies.push(sent(gateway, asked.header("X-Auth-Tenant", &mine.slug), 401).await);
        }
        _ => {}
    }
    replies
}

/// The address names the app, and what comes there counts by its own token alone.
async fn try_verification(gateway: &Gateway, mine: &Estate, theirs: &Estate) {
    let verify = json!({"url": push_url(gateway, theirs), "token": mine.push["token"]});
    let told = gateway.simulator().verify_push(&verify).await;
    assert_eq!(told["answer"], json!({"status": 403, "body": "Forbidden"}), "{told}");
}

/// The same with its key, and with what it may say of whom.
async fn try_pushes(gateway: &Gateway, mine: &Estate, theirs: &Estate) {
    let push = async |to: &Estate, appid: &str| {
        let push = json!({
            "url": push_url(gateway, to), "appid": appid, "mode": "safe", "format": "json",
            "token": mine.push["token"], "encoding_aes_key": mine.push["encoding_aes_key"],
            "message": {"Event": "user_authorization_cancellation", "OpenID": theirs.login["user"]["openid"]},
        });
        gateway.simulator().push(&push).await["deliveries"][0].clone()
    };
    // Another app has no such user.
    assert_eq!(push(mine, &mine.appid).await, json!({"status": 200, "body": "success"}));
    for (to, appid) in [(theirs, &theirs.appid), (theirs, &mine.appid), (mine, &theirs.appid)] {
        assert_eq!(push(to, appid).await, json!({"status": 403, "body": "Forbidden"}));
    }
}

/// Where an app takes its pushes.
fn push_url(gateway: &Gateway, of: &Estate) -> String {
    format!("{}/wechat/push/{}", gateway.client().base(), of.appid)
}

/// Another tenant's mini-program is none, whoever proves what.
async fn joined(gateway: &Gateway, id: &str, mine: &Estate, theirs: &Estate) -> Reply {
    let own = gateway.simulator().code_of(&mine.appid, mine.openid()).await.code;
    let code = gateway.simulator().code_of(&theirs.appid, theirs.openid()).await.code;
    let token = format!("wxm_{}", "A".repeat(43));
    let (path, body) = if id == "link" {
        ("/v1/me/links", json!({"appid": theirs.appid, "link_code": code, "code": own}))
    } else {
        let sides = json!({"merge_token": token, "code": own, "other_code": code, "other_appid": theirs.appid});
        ("/v1/me/merge", sides)
    };
    let request = gateway.client().request(Method::POST, path).bearer_auth(mine.token()).json(&body);
    sent(gateway, request, 404).await
}

/// Tries a route of clients of old at their app, with my tokens in every place where such clients have theirs.
pub(super) async fn try_compatibility(
    gateway: &Gateway,
    operation: &Operation,
    mine: &Estate,
    theirs: &Estate,
) -> Vec<Reply> {
    let (token, refresh_token) = (mine.token(), mine.login["refresh_token"].as_str().unwrap());
    let path = operation.path_of(&theirs.appid);
    let method = Method::from_bytes(operation.method.to_uppercase().as_bytes()).unwrap();
    let ask = |query: &str| {
        let request = gateway.client().request(method.clone(), &format!("{path}{query}"));
        let session = mine.login["session_id"].as_str().unwrap();
        let headers =
            [("Authorization", token), ("X-WX-Skey", token), ("X-WX-Id", session), ("X-Litemall-Token", token)];
        headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    let body = json!({"session": token, "refreshToken": refresh_token, "refresh_token": refresh_token});
    let tries =
        [ask("").json(&body), ask(&format!("?session={token}")), ask(&format!("?refreshToken={refresh_token}"))];
    let mut replies = Vec::new();
    for request in tries {
        let reply = gateway.client().send(request).await;
        let known = [&mine.login["user"]["id"], &mine.login["user"]["openid"]].map(|of| of.as_str().unwrap());
        assert!(!known.iter().any(|of| reply.text.contains(of)), "{path}: {}", reply.text);
        assert!(!reply.text.contains("eyJ"), "{path} gave a token: {}", reply.text);
        replies.push(reply);
    }
    replies
}

async fn sent(gateway: &Gateway, request: RequestBuilder, status: u16) -> Reply {
    refused(gateway.client().send(request).await, status)
}

/// The same reply, which must have this status.
#[track_caller]
fn refused(reply: Reply, status: u16) -> Reply {
    assert_eq!(reply.status, status, "{}", reply.text);
    reply
}

/// What the keys of one platform sign counts at no other one.
async fn try_platform_pushes(gateway: &Gateway, mine: &Estate, theirs: &Estate) {
    let path = format!("/platforms/{}/push/rotate", mine.platform);
    let keys = gateway.operator().post(&path, &json!({ "what": "both" })).await.ok()["secret"].clone();
    let push = json!({
        "url": format!("{}/wechat/platform/{}", gateway.client().base(), theirs.platform), "appid": theirs.platform,
        "mode": "safe", "format": "xml", "token": keys["push_token"], "encoding_aes_key": keys["encoding_aes_key"],
        "message": {"InfoType": "component_verify_ticket", "ComponentVerifyTicket": "ticket@@@mine"},
    });
    let told = gateway.simulator().push(&push).await;
    assert_eq!(told["deliveries"][0]["status"], 403, "{told}");
}
