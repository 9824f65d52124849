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

/// Calls of each interface in a day, as many as WeChat's page shows.
const DAILY: u64 = 1_000_000;

#[expect(clippy::unnecessary_wraps, reason = "interfaces have one form")]
fn callback_addresses(_: &mut World, _: &str, _: &Asked, _: u64) -> Answer {
    Ok(plain(json!({ "ip_list": ["101.89.47.18", "203.205.254.0/24"] })))
}

fn quota(_: &mut World, _: &str, asked: &Asked, _: u64) -> Answer {
    let path = asked.required("cgi_path", 76003)?;
    if path.starts_with("/sns/") {
        return Err(Refusal::new(76022));
    }
    if !APIS.iter().any(|api| api.path == path) {
        return Err(Refusal::new(76021));
    }
    Ok(ok(json!({
        "quota": { "daily_limit": DAILY, "used": 0, "remain": DAILY },
        "rate_limit": { "call_count": 10_000, "refresh_second": 60 },
    })))
}
