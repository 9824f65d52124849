//! What an app asks about WeChat itself: its addresses, and what it may still call today.

use actix_web::http::Method;
use serde_json::json;

use crate::api::{APIS, Answer, Api, Asked, Proof, ok, plain};
use crate::state::{Refusal, World};

pub(crate) const CALLBACK_ADDRESSES: Api = Api {
    path: "/cgi-bin/getcallbackip",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "ip_list",
    run: callback_addresses,
};

pub(crate) const QUOTA: Api = Api {
    path: "/cgi-bin/openapi/quota/get",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "quota",
    run: quota,
};

#[expect(clippy::unnecessary_wraps, reason = "interfaces have one form")]
fn callback_addresses(_: &mut World, _: &str, _: &Asked, _: u64) -> Answer {
    Ok(plain(json!({ "ip_list": ["101.89.47.18", "203.205.254.0/24"] })))
}

fn quota(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let path = asked.required("cgi_path", 76003)?;
    if path.starts_with("/sns/") {
        return Err(Refusal::new(76022));
    }
    let api = APIS.iter().find(|api| api.path == path).ok_or(Refusal::new(76021))?;
    let told = world.quotas.told(appid, api.path, now_ms);
    Ok(ok(json!({
        "quota": { "daily_limit": told.limit, "used": told.used, "remain": told.limit.saturating_sub(told.used) },
        "rate_limit": { "call_count": 10_000, "refresh_second": 60 },
    })))
}
