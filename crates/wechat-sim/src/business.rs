//! What an app asks with its access_token: phone numbers, session keys, ciphertexts.

use actix_web::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::api::{Answer, Api, Asked, Proof, ok};
use crate::chance::hex;
use crate::codes::PhoneRejected;
use crate::payments::Trade;
use crate::state::{Refusal, World};

pub(crate) const PHONE_NUMBER: Api = Api {
    path: "/wxa/business/getuserphonenumber",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "phone_info",
    run: phone_number,
};

pub(crate) const CHECK_SESSION: Api = Api {
    path: "/wxa/checksession",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "errmsg",
    run: check_session,
};

pub(crate) const RESET_SESSION_KEY: Api = Api {
    path: "/wxa/resetusersessionkey",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "session_key",
    run: reset_session_key,
};

pub(crate) const CHECK_ENCRYPTED: Api = Api {
    path: "/wxa/business/checkencryptedmsg",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "vaild",
    run: check_encrypted,
};

pub(crate) const PAID_UNIONID: Api = Api {
    path: "/wxa/getpaidunionid",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "unionid",
    run: paid_unionid,
};

pub(crate) const ENCRYPT_KEY: Api = Api {
    path: "/wxa/business/getuserencryptkey",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "key_info_list",
    run: encrypt_key,
};

fn phone_number(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let code = asked.required("code", 41008)?;
    let phone = world.codes.exchange_phone(code, appid, asked.text("openid"), now_ms).map_err(|rejected| {
        Refusal::new(match rejected {
            PhoneRejected::Invalid => 40029,
            PhoneRejected::OtherApp => 40013,
            PhoneRejected::OtherUser => 40003,
        })
    })?;
    Ok(ok(json!({
        "phone_info": {
            "phoneNumber": phone.country_code.in_front_of(&phone.number),
            "purePhoneNumber": phone.number,
            "countryCode": phone.country_code,
            "watermark": { "timestamp": now_ms / 1000, "appid": appid },
        },
    })))
}

fn check_session(world: &mut World, appid: &str, asked: &Asked, _: u64) -> Answer {
    proved_key(world, appid, asked, 87009)?;
    Ok(ok(json!({})))
}

fn reset_session_key(world: &mut World, appid: &str, asked: &Asked, _: u64) -> Answer {
    let openid = proved_key(world, appid, asked, 87007)?.to_owned();
    let session_key = world.new_session_key(appid, &openid).ok_or(Refusal::new(87007))?;
    Ok(ok(json!({ "openid": openid, "session_key": *session_key })))
}

fn paid_unionid(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let openid = asked.required("openid", 40003)?;
    if world.session_key(appid, openid).is_none() {
        return Err(Refusal::new(40003));
    }
    let unionid = world.unionid(appid, openid).ok_or(Refusal::new(89002))?;
    let trade = if let Some(id) = asked.text("transaction_id") {
        Trade::Transaction(id)
    } else {
        let (mch_id, out_trade_no) = (asked.required("mch_id", 89300)?, asked.required("out_trade_no", 89300)?);
        Trade::Order { mch_id, out_trade_no }
    };
    if !world.payments.is_made((appid, openid), &trade, now_ms) {
        return Err(Refusal::new(89300));
    }
    Ok(ok(json!({ "unionid": *unionid })))
}

fn encrypt_key(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let openid = proved_key(world, appid, asked, 87007)?;
    let World { encrypt_keys, chance, .. } = world;
    Ok(ok(json!({ "key_info_list": encrypt_keys.told(appid, openid, now_ms / 1000, chance) })))
}

/// The user whose present key made the signature; `unknown` is said of one who has no key.
fn proved_key<'a>(world: &World, appid: &str, asked: &'a Asked, unknown: i64) -> Result<&'a str, Refusal> {
    let openid = asked.required("openid", 41009)?;
    let signature = asked.required("signature", 40097)?;
    if asked.text("sig_method") != Some("hmac_sha256") {
        return Err(Refusal::new(87008));
    }
    let key = world.session_key(appid, openid).ok_or(Refusal::new(unknown))?;
    if signed(key, signature) { Ok(openid) } else { Err(Refusal::new(87009)) }
}

/// HMAC-SHA256 of the empty text under the key's base64 text, in lower-case hex.
fn signed(session_key: &str, signature: &str) -> bool {
    Hmac::<Sha256>::new_from_slice(session_key.as_bytes())
        .is_ok_and(|mac| hex(&mac.finalize().into_bytes()) == signature)
}

fn check_encrypted(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let digest = asked.required("encrypted_msg_hash", 40097)?.to_ascii_lowercase();
    if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::new(40097));
    }
    let made_s = world.genuine.made_s(appid, &digest, now_ms / 1000).ok_or(Refusal::new(1))?;
    // WeChat's spelling.
    Ok(ok(json!({ "vaild": true, "create_time": made_s })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_wechats() {
        // WeChat's key, over the empty text.
        let signature = "46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128";
        assert!(signed("o0q0otL8aEzpcZL/FT9WsQ==", signature));
        assert!(!signed("o0q0otL8aEzpcZL/FT9WsQ==", "46e0"));
    }
}
