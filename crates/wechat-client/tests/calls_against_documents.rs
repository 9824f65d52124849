//! Calls with an access_token against recorded and broken documents, over real connections.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

#[path = "support/upstream.rs"]
mod upstream;

use std::time::Duration;

use serde_json::{Value, json};
use upstream::{Answer, Upstream, http, wechat};
use wxgate_crypto::Secret;
use wxgate_crypto::encoding::{to_base64, to_hex};
use wxgate_crypto::user_data::{EncryptedUserData, SessionKey};
use wxgate_domain::{AppSecrets, OpenId, PhoneNumber, WechatAppid};
use wxgate_wechat_client::{
    Access, AccessToken, BadResponse, BaseUrl, CallError, Client, ClientConfig, IssuedToken, PhoneCode, Refused,
    RefusedClass, SecretSlot, TokenMode,
};

const APPID: &str = "wx0000000000000001";
const TOKEN: &str = "89_ab-cd_ef";
const ISSUED: &str = r#"{"access_token":"89_ab-cd_ef","expires_in":7200}"#;
const PHONE: &str = r#"{"errcode":0,"errmsg":"ok","phone_info":{"phoneNumber":"13800138000",
    "purePhoneNumber":"13800138000","countryCode":"86","watermark":{"timestamp":1637744274,"appid":"wx0000000000000001"}}}"#;

fn appid() -> WechatAppid {
    APPID.parse().unwrap()
}

fn openid() -> OpenId {
    "oAlice".parse().unwrap()
}

fn session_key() -> SessionKey {
    SessionKey::parse(Secret::new("o0q0otL8aEzpcZL/FT9WsQ==".to_owned())).unwrap()
}

fn phone_code() -> PhoneCode {
    PhoneCode::parse(&"0a".repeat(32)).unwrap()
}

fn credential() -> AppSecrets {
    AppSecrets { current: "newsecret".parse().unwrap(), previous: Some("oldsecret".parse().unwrap()) }
}

fn refusal(errcode: i64) -> Answer {
    Answer::Keep(wechat(&format!(r#"{{"errcode":{errcode},"errmsg":"no rid: 652d44d0-1d0af18b-5b069232"}}"#)))
}

fn says(body: &str) -> Answer {
    Answer::Keep(http("200 OK", "Content-Type: application/json; encoding=utf-8\r\n", body))
}

/// A WeChat that answers so, and a client of it.
struct World {
    upstream: Upstream,
    client: Client,
    token: AccessToken,
}

impl World {
    async fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let upstream = Upstream::answering(answers).await;
        let client = Client::new(ClientConfig {
            base_url: BaseUrl::parse(&upstream.url(), true).unwrap(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            ..ClientConfig::default()
        })
        .unwrap();
        Self { upstream, client, token: AccessToken::parse(TOKEN.to_owned()).unwrap() }
    }

    async fn stable(&self, mode: TokenMode) -> Result<IssuedToken, CallError> {
        self.client.stable_token(&appid(), &credential(), mode).await
    }

    async fn phone(&self, code: &PhoneCode) -> Result<PhoneNumber, CallError> {
        self.client.phone_number(&Access::plain(&appid(), &self.token), code, &openid()).await
    }

    async fn check(&self) -> Result<(), CallError> {
        self.client.check_session(&Access::plain(&appid(), &self.token), &openid(), &session_key()).await
    }

    async fn reset(&self) -> Result<SessionKey, CallError> {
        self.client.reset_session_key(&Access::plain(&appid(), &self.token), &openid(), &session_key()).await
    }

    async fn confirm(&self, data: &EncryptedUserData) -> Result<Option<i64>, CallError> {
        self.client.confirm_phone_data(&Access::plain(&appid(), &self.token), data).await
    }

    /// The first line of a request, and its body.
    fn request(&self, index: usize) -> (String, Value) {
        let request = self.upstream.seen().requests[index].clone();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> Refused {
    match result {
        Err(CallError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

fn bad<T: std::fmt::Debug>(result: Result<T, CallError>) -> BadResponse {
    match result {
        Err(CallError::BadResponse(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_is_asked_for_as_documented() {
    let world = World::answering([says(ISSUED)]).await;
    for (index, mode) in [TokenMode::Normal, TokenMode::Force].into_iter().enumerate() {
        let issued = world.stable(mode).await.unwrap();
        assert_eq!((issued.token.expose(), issued.expires_in.as_secs()), (TOKEN, 7200));
        assert_eq!(issued.slot, SecretSlot::Current);
        let (line, body) = world.request(index);
        assert_eq!(line, "POST /cgi-bin/stable_token HTTP/1.1", "no secret in the address");
        let force = mode == TokenMode::Force;
        let expected =
            json!({"grant_type":"client_credential","appid":APPID,"secret":"newsecret","force_refresh":force});
        assert_eq!(body, expected);
    }
    let legacy = world.client.legacy_token(&appid(), &credential()).await.unwrap();
    assert_eq!(legacy.token, world.token);
    let expected = "GET /cgi-bin/token?grant_type=client_credential&appid=wx0000000000000001&secret=newsecret HTTP/1.1";
    assert_eq!(world.request(2).0, expected);
}

#[tokio::test]
async fn the_previous_secret_fetches_a_token_too() {
    let world = World::answering([refusal(40125), says(ISSUED), refusal(40125)]).await;
    assert_eq!(world.stable(TokenMode::Normal).await.unwrap().slot, SecretSlot::Previous);
    assert_eq!(world.request(1).1["secret"], "oldsecret");
    assert_eq!(refused(world.client.legacy_token(&appid(), &credential()).await).errcode, 40125);
    assert_eq!(world.upstream.seen().requests.len(), 4);
}

#[tokio::test]
async fn a_refused_address_is_named() {
    let errmsg = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 652d44d0-1d0af18b-5b069232";
    let world = World::answering([says(&json!({"errcode": 40164, "errmsg": errmsg}).to_string())]).await;
    let refusal = refused(world.stable(TokenMode::Normal).await);
    assert_eq!(refusal.class, RefusedClass::AddressRefused);
    assert_eq!(refusal.our_address, Some("203.0.113.7".parse().unwrap()));
    assert_eq!(refusal.back_off(), Some(Duration::from_mins(10)));
}

#[tokio::test]
async fn every_errcode_of_a_token_has_its_class() {
    use RefusedClass::{AddressRefused, Busy, Misconfigured, QuotaExhausted, RateLimited};
    let expected = [
        (-1, Busy),
        (40001, Misconfigured),
        (40002, Misconfigured),
        (40013, Misconfigured),
        (40164, AddressRefused),
        (40243, Misconfigured),
        (41002, Misconfigured),
        (41004, Misconfigured),
        (43002, Misconfigured),
        (45009, QuotaExhausted),
        (45011, RateLimited),
        (50004, Misconfigured),
        (50007, Misconfigured),
        (89_501, AddressRefused),
        (89_503, AddressRefused),
        (89_506, AddressRefused),
        (89_507, AddressRefused),
        (99_999, Misconfigured),
    ];
    let world = World::answering(expected.map(|(errcode, _)| refusal(errcode))).await;
    for (errcode, class) in expected {
        let error = world.stable(TokenMode::Normal).await.unwrap_err();
        assert_eq!((error.errcode_class(), error.token_is_dead()), (class.label(), false));
        let refused = refused::<()>(Err(error));
        assert_eq!((refused.errcode, refused.class), (errcode, class));
        assert_eq!(refused.rid.as_ref().unwrap().as_str(), "652d44d0-1d0af18b-5b069232");
        assert_eq!(refused.meaning().starts_with("unknown"), errcode == 99_999);
    }
}

#[tokio::test]
async fn documents_that_are_no_token_are_bad_responses() {
    for (answer, expected) in [
        (wechat(""), BadResponse::Empty),
        (http("502 Bad Gateway", "", "<html>"), BadResponse::Status(502)),
        (wechat("{}"), BadResponse::Field("access_token")),
        (wechat(r#"{"access_token":"","expires_in":7200}"#), BadResponse::Field("access_token")),
        (wechat(r#"{"access_token":"a b","expires_in":7200}"#), BadResponse::Field("access_token")),
        (wechat(r#"{"access_token":"ab"}"#), BadResponse::Field("expires_in")),
        (wechat(r#"{"access_token":"ab","expires_in":0}"#), BadResponse::Field("expires_in")),
        (wechat(r#"{"access_token":"ab","access_token":"cd","expires_in":1}"#), BadResponse::NotJson),
        (wechat(&format!("{ISSUED}{}", " ".repeat(64 * 1024))), BadResponse::TooLarge),
    ] {
        let world = World::answering([Answer::Keep(answer)]).await;
        assert_eq!(bad(world.stable(TokenMode::Normal).await), expected);
    }
}

#[tokio::test]
async fn a_phone_code_goes_out_with_its_openid() {
    let world = World::answering([says(PHONE)]).await;
    let number = world.phone(&phone_code()).await.unwrap();
    assert_eq!((number.country_code(), number.national()), ("86", "13800138000"));
    let (line, body) = world.request(0);
    assert_eq!(line, "POST /wxa/business/getuserphonenumber?access_token=89_ab-cd_ef HTTP/1.1");
    assert_eq!(body, json!({"code": "0a".repeat(32), "openid": "oAlice"}));
}

#[tokio::test]
async fn a_number_that_is_not_this_apps_or_not_one_is_refused() {
    for (from, to, expected) in [
        ("wx0000000000000001", "wx0000000000000002", BadResponse::OtherApp),
        ("\"86\"", "null", BadResponse::Field("phone_info")),
        ("\"purePhoneNumber\":\"13800138000\"", "\"purePhoneNumber\":\"139\"", BadResponse::Field("phone_info")),
        ("watermark", "mark", BadResponse::Field("watermark")),
        ("phone_info", "info", BadResponse::Field("phone_info")),
    ] {
        let world = World::answering([says(&PHONE.replace(from, to))]).await;
        assert_eq!(bad(world.phone(&phone_code()).await), expected, "{to}");
    }
    let number = World::answering([says(&PHONE.replace("\"86\"", "86"))]).await.phone(&phone_code()).await.unwrap();
    assert_eq!(number.e164().expose(), "+8613800138000");
}

#[tokio::test]
async fn a_refused_phone_code_is_told_from_one_of_another_kind_and_from_a_dead_token() {
    let world = World::answering([40029, 40029, 40003, 40001, 40014, 42001, 48001].map(refusal)).await;
    let login_code = PhoneCode::parse(&"a".repeat(32)).unwrap();
    assert_eq!(refused(world.phone(&phone_code()).await).class, RefusedClass::CodeInvalid);
    assert_eq!(refused(world.phone(&login_code).await).class, RefusedClass::CodeOfOtherKind);
    assert_eq!(refused(world.phone(&phone_code()).await).class, RefusedClass::CodeInvalid, "of another user");
    for _ in 0..3 {
        assert!(world.phone(&phone_code()).await.unwrap_err().token_is_dead());
    }
    assert_eq!(refused(world.phone(&phone_code()).await).class, RefusedClass::Misconfigured);
    assert_eq!(world.upstream.seen().requests.len(), 7, "nothing is repeated here");
}

#[tokio::test]
async fn a_session_key_is_proved_in_the_query() {
    let key = "AAAAAAAAAAAAAAAAAAAAAA==";
    let fresh = json!({"errcode":0,"errmsg":"ok","openid":"oAlice","session_key":key}).to_string();
    let world = World::answering([says(r#"{"errcode":0,"errmsg":"ok"}"#), says(&fresh)]).await;
    world.check().await.unwrap();
    assert_eq!(world.reset().await.unwrap().bytes().expose(), &[0; 16]);
    // The signature is WeChat's own vector over the empty text.
    let query = "access_token=89_ab-cd_ef&openid=oAlice\
                 &signature=46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128&sig_method=hmac_sha256";
    assert_eq!(world.request(0).0, format!("GET /wxa/checksession?{query} HTTP/1.1"));
    assert_eq!(world.request(1).0, format!("GET /wxa/resetusersessionkey?{query} HTTP/1.1"));
}

#[tokio::test]
async fn a_key_that_nobody_vouched_for_is_not_valid() {
    let world = World::answering([says("{}"), says(r#"{"errmsg":"ok"}"#)]).await;
    for _ in 0..2 {
        assert!(matches!(world.check().await, Err(CallError::BadResponse(_))));
    }
}

#[tokio::test]
async fn a_stale_key_is_told_from_a_dead_token() {
    let world = World::answering([87_009, 87_007, 42001, 87_008].map(refusal)).await;
    assert_eq!(refused(world.check().await).class, RefusedClass::SessionKeyStale);
    assert_eq!(refused(world.reset().await).class, RefusedClass::SessionKeyStale);
    assert!(world.check().await.unwrap_err().token_is_dead());
    assert_eq!(refused(world.check().await).class, RefusedClass::Misconfigured);
}

#[tokio::test]
async fn a_new_key_of_somebody_else_is_none() {
    let answer = |openid: &str, key: &str| says(&json!({"openid": openid, "session_key": key}).to_string());
    let world =
        World::answering([answer("oBob", "AAAAAAAAAAAAAAAAAAAAAA=="), answer("oAlice", "AAAA"), says("{}")]).await;
    let expected = [BadResponse::OpenId, BadResponse::SessionKey, BadResponse::OpenId];
    for expected in expected {
        assert_eq!(bad(world.reset().await), expected);
    }
}

#[tokio::test]
async fn a_ciphertext_is_confirmed_by_the_digest_of_its_text_or_of_its_bytes() {
    let text = to_base64([7; 32]);
    let data = EncryptedUserData::parse(&text, &to_base64([0; 16])).unwrap();
    let known = says(r#"{"errcode":0,"errmsg":"ok","vaild":true,"create_time":1629121902}"#);
    let unknown = || refusal(1);
    let world = World::answering([
        known.clone(),
        unknown(),
        known,
        unknown(),
        unknown(),
        says(r#"{"errcode":0,"vaild":false}"#),
        says(r#"{"errcode":0,"valid":true,"create_time":1}"#),
    ])
    .await;
    assert_eq!(world.confirm(&data).await, Ok(Some(1_629_121_902)));
    assert_eq!(world.confirm(&data).await, Ok(Some(1_629_121_902)));
    assert_eq!(world.confirm(&data).await, Ok(None));
    assert_eq!(bad(world.confirm(&data).await), BadResponse::Field("vaild"));

    let [text, bytes] = [data.text_digest(), data.digest()].map(|digest| to_hex(digest.as_bytes()));
    let asked: Vec<_> = (0..5).map(|index| world.request(index).1["encrypted_msg_hash"].clone()).collect();
    assert_eq!(asked, [&text, &text, &bytes, &text, &bytes].map(|digest| json!(digest)));
    assert_eq!(world.request(0).0, "POST /wxa/business/checkencryptedmsg?access_token=89_ab-cd_ef HTTP/1.1");
}

#[tokio::test]
async fn broken_calls_never_stop_a_login() {
    let login = r#"{"session_key":"aAf3uQ5AslIObWmLT+BXPg==","openid":"oAlice"}"#;
    let upstream = Upstream::answering([says("<html>"), says(login)]).await;
    let client = Client::new(ClientConfig {
        base_url: BaseUrl::parse(&upstream.url(), true).unwrap(),
        breaker_threshold: 1,
        ..ClientConfig::default()
    })
    .unwrap();
    assert_eq!(bad(client.legacy_token(&appid(), &credential()).await), BadResponse::Html);
    let error = client.legacy_token(&appid(), &credential()).await.unwrap_err();
    assert_eq!(error, CallError::Unavailable, "the breaker of calls is open");
    assert!(client.code_to_session(&appid(), &credential(), &"0a1b2c".parse().unwrap()).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_not_asked_for_again() {
    let world = World::answering([Answer::Close(vec![])]).await;
    assert_eq!(world.phone(&phone_code()).await.unwrap_err(), CallError::Timeout);
    assert_eq!(world.upstream.seen().requests.len(), 1);
}
