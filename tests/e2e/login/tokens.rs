//! The access token: what it says, who can verify it, and that nobody else decides where it comes from.

use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};
use wxgate_token::VerifyError;

use crate::harness::{APP, Gateway, OTHER_APP, jwt};

async fn login(gateway: &Gateway, appid: &str) -> Value {
    let issued = gateway.simulator().code(appid).await;
    gateway.client().login_with(appid, &issued.code).await.ok()
}

#[tokio::test]
async fn the_token_says_who_for_whom_and_until_when() {
    let gateway = Gateway::dev().await;
    let reply = login(&gateway, APP).await;
    let (header, claims) = jwt::parts(&reply["access_token"]);

    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header.as_object().unwrap().len(), 3, "{header}");
    let jwks = gateway.client().get("/t/demo/jwks.json").await.ok();
    let kids: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&header["kid"]), "{header} {jwks}");

    let issuer = format!("{}/t/demo", gateway.public_url());
    assert_eq!(claims["iss"], issuer);
    assert_eq!(claims["sub"], reply["user"]["id"]);
    assert_eq!(claims["aud"], json!([APP, issuer]));
    assert_eq!(claims["client_id"], APP);
    assert_eq!(claims["sid"], reply["session_id"]);
    assert_eq!(claims["scope"], reply["scope"]);
    // Issued in the second of the reply, or just before it began.
    let age = reply["server_time"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((0..=1).contains(&age), "{claims}");
    assert_eq!(claims["exp"].as_i64(), Some(claims["iat"].as_i64().unwrap() + reply["expires_in"].as_i64().unwrap()));
    assert!(claims["jti"].as_str().is_some_and(|jti| jti.len() >= 16), "{claims}");
    for personal in ["openid", "unionid", "nickname", "session_key"] {
        assert!(claims.get(personal).is_none(), "{claims}");
    }

    let (_, other) = jwt::parts(&login(&gateway, APP).await["access_token"]);
    assert_ne!(other["jti"], claims["jti"]);
}

#[tokio::test]
async fn a_backend_verifies_through_discovery_and_refuses_what_is_not_for_it() {
    let gateway = Gateway::dev().await;
    let token = login(&gateway, APP).await["access_token"].clone();
    let issuer = jwt::issuer(&gateway, "demo");

    let claims = jwt::verify(&gateway, "demo", APP, &token).await.unwrap();
    assert_eq!(claims.client_id, APP);
    jwt::verify(&gateway, "demo", issuer.as_str(), &token).await.unwrap();
    assert_eq!(jwt::verify(&gateway, "demo", OTHER_APP, &token).await.unwrap_err(), VerifyError::Audience);

    let text = token.as_str().unwrap();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { 'B' } else { 'A' };
    for forged in [format!("{message}.{flipped}{}", &signature[1..]), format!("{message}.")] {
        jwt::verify(&gateway, "demo", APP, &json!(forged)).await.unwrap_err();
    }
}

/// Tokens that all end in the same second would all be refreshed in it.
#[tokio::test]
async fn lives_are_jittered_and_told_exactly() {
    let gateway = Gateway::dev().await;
    let mut lives = Vec::new();
    for _ in 0..8 {
        let reply = login(&gateway, APP).await;
        let (_, claims) = jwt::parts(&reply["access_token"]);
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(reply["expires_in"].as_i64(), Some(life));
        lives.push(life);
    }
    assert!(lives.iter().any(|life| *life != lives[0]), "{lives:?}");
}

#[tokio::test]
async fn tenants_sign_as_they_were_made() {
    let gateway = Gateway::dev().await;
    for (tenant, algorithm, appid) in
        [("edwards", "EdDSA", "wx00000000000000ed"), ("rivest", "RS256", "wx0000000000000025")]
    {
        gateway.command(["tenant", "add", tenant, "--algorithm", algorithm]).run().await.ok();
        gateway.add_app(tenant, appid, None).await;
        let reply = login(&gateway, appid).await;
        let (header, claims) = jwt::parts(&reply["access_token"]);
        assert_eq!(header["alg"], algorithm);
        assert_eq!(claims["iss"], format!("{}/t/{tenant}", gateway.public_url()));
        jwt::verify(&gateway, tenant, appid, &reply["access_token"]).await.unwrap();

        let document = gateway.client().get(&format!("/t/{tenant}/.well-known/openid-configuration")).await.ok();
        assert_eq!(document["id_token_signing_alg_values_supported"], json!([algorithm]));
    }
}

/// An issuer built from request headers lets whoever sends them choose whose keys a backend asks for.
#[tokio::test]
async fn refuses_an_issuer_from_host_or_forwarded_headers() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    let lie = |request: reqwest::RequestBuilder| {
        request
            .header(HOST, "evil.example")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "gopher")
            .header("Forwarded", "host=evil.example;proto=gopher")
            .header("X-Original-Host", "evil.example")
    };

    let login = client.request(Method::POST, &format!("/v1/apps/{APP}/login"));
    let reply = client.send(lie(login.json(&json!({ "code": issued.code })))).await;
    assert_eq!(jwt::parts(&reply.ok()["access_token"]).1["iss"], format!("{}/t/demo", gateway.public_url()));
    jwt::verify(&gateway, "demo", APP, &reply.ok()["access_token"]).await.unwrap();

    let documents = ["/t/demo/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/demo"];
    for path in documents.into_iter().chain(["/t/demo/jwks.json", "/nowhere"]) {
        let honest = client.get(path).await;
        let lied = client.send(lie(client.request(Method::GET, path))).await;
        let whole = format!("{:?} {}", lied.headers, lied.text);
        assert!(!whole.contains("evil.example") && !whole.contains("gopher"), "{whole}");
        if path != "/nowhere" {
            assert_eq!(lied.text, honest.text, "{path}");
        }
    }
}

/// No browser page calls these routes on a user's behalf: nothing answers a preflight, nothing allows an origin.
#[tokio::test]
async fn refuses_cross_origin_use_from_browsers() {
    let gateway = Gateway::dev().await;
    let client = gateway.client();
    let issued = gateway.simulator().code(APP).await;
    let login = format!("/v1/apps/{APP}/login");
    let from_page = |request: reqwest::RequestBuilder| {
        request
            .header("Origin", "https://evil.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "content-type")
    };

    let preflights = [login.as_str(), "/user/wxlogin", "/t/demo/jwks.json"];
    for path in preflights {
        let reply = client.send(from_page(client.request(Method::OPTIONS, path))).await;
        assert_eq!(reply.status, 405, "{path} {}", reply.text);
        assert!(!format!("{:?}", reply.headers).contains("access-control"), "{:?}", reply.headers);
    }
    let reply =
        client.send(from_page(client.request(Method::POST, &login).json(&json!({ "code": issued.code })))).await;
    assert!(!format!("{:?}", reply.headers).contains("access-control"), "{:?}", reply.headers);

    // What a page can send without a preflight is not JSON by its label.
    for label in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let request = client.request(Method::POST, &login).header("Content-Type", label);
        client.send(request.body(r#"{"code":"abc"}"#)).await.refused(415, "MEDIA_TYPE");
    }
}
