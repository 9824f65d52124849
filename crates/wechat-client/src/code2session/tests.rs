use proptest::prelude::*;

use super::*;
use crate::errcode::RejectedClass;

const KEY: &str = "aAf3uQ5AslIObWmLT+BXPg==";

fn bad(body: &str) -> BadResponse {
    match read(body.as_bytes()) {
        Err(ExchangeError::BadResponse(bad)) => bad,
        other => panic!("{body}: {other:?}"),
    }
}

fn refused(body: &str) -> Rejected {
    match read(body.as_bytes()) {
        Err(ExchangeError::Rejected(rejected)) => rejected,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn the_query_says_what_was_meant_whatever_the_secret_holds() {
    let secret: AppSecret =
        "a&appid=wxevil%00+#/?=ü".chars().filter(char::is_ascii).collect::<String>().parse().unwrap();
    let url = url(&BaseUrl::wechat(), &"wx1".parse().unwrap(), &secret, &"0a-B_c".parse().unwrap());
    assert_eq!(
        url.as_str(),
        "https://api.weixin.qq.com/sns/jscode2session?appid=wx1&secret=a%26appid%3Dwxevil%2500%2B%23%2F%3F%3D\
         &js_code=0a-B_c&grant_type=authorization_code"
    );
}

#[test]
fn a_success_needs_no_errcode_and_no_unionid() {
    let with = format!(r#"{{"session_key":"{KEY}","openid":"oFoSZ5T0DOf8Fhfz2SZfWcaJW-b0","unionid":"oU_1"}}"#);
    let identity = read(with.as_bytes()).unwrap();
    assert_eq!(identity.openid.as_str(), "oFoSZ5T0DOf8Fhfz2SZfWcaJW-b0");
    assert_eq!(identity.unionid.unwrap().as_str(), "oU_1");
    assert_eq!(identity.session_key, SessionKey::parse(Secret::new(KEY.to_owned())).unwrap());

    for more in ["", r#","unionid":null"#, r#","unionid":"""#, r#","errcode":0,"errmsg":"ok""#, r#","errcode":"0""#] {
        let body = format!(" {{\"openid\":\"o1\",\"session_key\":\"{KEY}\",\"expires_in\":7200{more}}}\r\n");
        assert_eq!(read(body.as_bytes()).unwrap().unionid, None, "{more}");
    }
    let escaped = r#"{"openid":"o1","session_key":"\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/\/w=="}"#;
    assert_eq!(read(escaped.as_bytes()).unwrap().session_key.bytes().expose(), &[0xff; 16]);
}

#[test]
fn a_refusal_wins_over_everything_else_in_the_answer() {
    let body = format!(r#"{{"errcode":40163,"errmsg":"code been used","openid":"o1","session_key":"{KEY}"}}"#);
    assert_eq!(refused(&body).class, RejectedClass::CodeUsed);
    assert_eq!(refused(r#"{"errcode":"40029"}"#).errcode, 40029);
    assert_eq!(refused(r#"{"errcode":-1}"#).class, RejectedClass::Busy);
    assert_eq!(refused(r#"{"errcode":12345,"errmsg":7}"#).class, RejectedClass::Misconfigured);
}

#[test]
fn rid_and_mock_codes_are_told_apart_from_the_rest_of_errmsg() {
    let mock = refused(
        r#"{"errcode":40029,"errmsg":"invalid code, the code is a mock one, rid: 652d44d0-1d0af18b-5b069232"}"#,
    );
    assert!(mock.is_mock_code);
    assert_eq!(mock.class, RejectedClass::CodeInvalid);
    assert_eq!(mock.rid.unwrap().as_str(), "652d44d0-1d0af18b-5b069232");
    let plain = refused(r#"{"errcode":40029,"errmsg":"invalid code"}"#);
    assert_eq!((plain.is_mock_code, plain.rid), (false, None));
}

#[test]
fn everything_else_is_a_bad_response_that_says_why() {
    let success = |openid: &str, key: &str| format!(r#"{{"openid":{openid},"session_key":{key}}}"#);
    let key = &format!("\"{KEY}\"");
    for (body, expected) in [
        (String::new(), BadResponse::Empty),
        (" \r\n".to_owned(), BadResponse::Empty),
        ("<html>502</html>".to_owned(), BadResponse::Html),
        ("upstream connect error".to_owned(), BadResponse::NotJson),
        (r#"{"session_key":"aAf3"#.to_owned(), BadResponse::NotJson),
        (r#"{"errcode":0,"errcode":40029}"#.to_owned(), BadResponse::NotJson),
        (r#"{"openid":"o1","openid":"o2"}"#.to_owned(), BadResponse::NotJson),
        ("[]".to_owned(), BadResponse::NotObject),
        ("null".to_owned(), BadResponse::NotObject),
        (r#"{"errcode":null}"#.to_owned(), BadResponse::Errcode),
        (r#"{"errcode":0.5}"#.to_owned(), BadResponse::Errcode),
        (r#"{"errcode":true}"#.to_owned(), BadResponse::Errcode),
        (r#"{"errcode":""}"#.to_owned(), BadResponse::Errcode),
        (r#"{"errcode":18446744073709551615}"#.to_owned(), BadResponse::Errcode),
        ("{}".to_owned(), BadResponse::OpenId),
        (success("null", key), BadResponse::OpenId),
        (success("7", key), BadResponse::OpenId),
        (success(r#""""#, key), BadResponse::OpenId),
        (success(r#""o 1""#, key), BadResponse::OpenId),
        (success(&format!("\"{}\"", "o".repeat(65)), key), BadResponse::OpenId),
        (success(r#""o1""#, "null"), BadResponse::SessionKey),
        (success(r#""o1""#, "[1]"), BadResponse::SessionKey),
        (success(r#""o1""#, r#""aAf3uQ5AslIObWmLT+BXPg""#), BadResponse::SessionKey),
        (success(r#""o1""#, r#""AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#), BadResponse::SessionKey),
        (success(r#""o1""#, &format!("{key},\"unionid\":\"o u\"")), BadResponse::UnionId),
        (success(r#""o1""#, &format!("{key},\"unionid\":5")), BadResponse::UnionId),
    ] {
        assert_eq!(bad(&body), expected, "{body}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_of_them_log_in(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn no_errcode_but_zero_logs_in(code in any::<i64>().prop_filter("a refusal", |code| *code != 0), text in any::<bool>()) {
        let code = if text { format!("\"{code}\"") } else { code.to_string() };
        let body = format!(r#"{{"openid":"o1","session_key":"{KEY}","errcode":{code}}}"#);
        prop_assert!(matches!(read(body.as_bytes()), Err(ExchangeError::Rejected(_))));
    }
}
