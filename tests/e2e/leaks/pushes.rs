//! Message push at TRACE: a token and keys that come in, are changed, and open what is pushed; and pushes that go wrong.

use reqwest::Method;
use serde_json::json;
use wxgate_crypto::Secret;
use wxgate_crypto::push::{Answer, EncodingAesKey, PushKeys, PushToken, Stamp};

use super::Told;
use super::canaries::Canaries;
use crate::harness::{APP, Gateway};

const TOKEN: &str = "ca7a51b0c0ffee70ca7a51b0c0ffee71";
const KEY: &str = "CanaryCanaryKeyOfPushesNumberOneCanaryCan1a";
const NEXT_KEY: &str = "CanaryCanaryKeyOfPushesNumberTwoCanaryCan2a";

/// Pushes right and wrong, under either key.
pub(super) async fn everything(gateway: &Gateway, told: &mut Told, canaries: &mut Canaries) {
    canaries.secret("push token", TOKEN);
    for key in [KEY, NEXT_KEY] {
        canaries.secret("EncodingAESKey", key);
        canaries.secret("EncodingAESKey with its padding", &format!("{key}="));
    }
    let (operator, path) = (gateway.operator(), format!("/apps/{APP}/push"));
    let set = json!({ "mode": "plain", "token": TOKEN, "encoding_aes_key": KEY });
    told.hear(&operator.put(&path, &set).await, canaries);
    told.hear(&operator.put(&path, &json!({ "token": format!("{TOKEN}!") })).await, canaries);
    told.hear(&operator.put(&path, &json!({ "encoding_aes_key": format!("{KEY}=") })).await, canaries);
    told.hear(&operator.post(&format!("{path}/rotate"), &json!({ "encoding_aes_key": NEXT_KEY })).await, canaries);
    told.hear(&operator.get(&path).await, canaries);

    let token = PushToken::parse(TOKEN).unwrap();
    let message =
        json!({ "MsgType": "event", "Event": "user_authorization_cancellation", "OpenID": "oPerson1" }).to_string();
    let now = wxgate_domain::Clock::System.now().seconds();
    for (number, key, appid) in [(0, KEY, APP), (1, NEXT_KEY, APP), (2, KEY, "wxother"), (3, NEXT_KEY, "wxother")] {
        let current = EncodingAesKey::parse(Secret::new(key.to_owned())).unwrap();
        let keys = PushKeys { token: token.clone(), previous_token: None, current, previous: None };
        let nonce = format!("nonce{number}");
        let answer = Answer { message: message.as_bytes(), appid, timestamp: now, nonce: &nonce };
        let push = keys.reply(&keys.current, &answer, [7; 16]);
        let signed = format!("timestamp={now}&nonce={nonce}&encrypt_type=aes&msg_signature={}", push.msg_signature);
        for query in [signed.clone(), signed.replace("msg_signature=", "msg_signature=0")] {
            told.hear(&post(gateway, &query, push.to_json()).await, canaries);
            told.hear(&post(gateway, &query, push.to_xml()).await, canaries);
        }
    }
    // In clear, with a token where none belongs.
    let stamp = Stamp { timestamp: &now.to_string(), nonce: "clear" };
    let query = format!("timestamp={now}&nonce=clear&signature={}", token.signature(&stamp));
    told.hear(&post(gateway, &query, message).await, canaries);
    told.hear(
        &post(gateway, &format!("{query}&token={TOKEN}"), format!("<xml><Token>{TOKEN}</Token></xml>")).await,
        canaries,
    );
    let client = gateway.client();
    told.hear(&client.get(&format!("/wechat/push/{APP}?{query}&echostr=1")).await, canaries);
    told.hear(&client.get(&format!("/wechat/push/{TOKEN}?{query}&echostr=1")).await, canaries);
}

async fn post(gateway: &Gateway, query: &str, body: String) -> crate::harness::Reply {
    let request = gateway.client().request(Method::POST, &format!("/wechat/push/{APP}?{query}"));
    gateway.client().send(request.body(body)).await
}
