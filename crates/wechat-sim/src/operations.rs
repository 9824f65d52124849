//! What an app asks about WeChat itself: its addresses, what it may still call today, and what became of a call.

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

pub(crate) const API_ADDRESSES: Api = Api {
    path: "/cgi-bin/get_api_domain_ip",
    method: Method::GET,
    proof: Proof::Token,
    main_field: "ip_list",
    run: api_addresses,
};

pub(crate) const CLEAR_QUOTA: Api = Api {
    path: "/cgi-bin/openapi/quota/clear",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "errmsg",
    run: clear_quota,
};

pub(crate) const CLEAR_QUOTAS: Api = Api {
    path: "/cgi-bin/clear_quota",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "errmsg",
    run: clear_quotas,
};

pub(crate) const CLEAR_QUOTAS_BY_SECRET: Api = Api {
    path: "/cgi-bin/clear_quota/v2",
    method: Method::POST,
    proof: Proof::AppSecret,
    main_field: "errmsg",
    run: clear_quotas,
};

pub(crate) const TRACE: Api = Api {
    path: "/cgi-bin/openapi/rid/get",
    method: Method::POST,
    proof: Proof::Token,
    main_field: "request",
    run: trace,
};

#[expect(clippy::unnecessary_wraps, reason = "interfaces have one form")]
fn callback_addresses(_: &mut World, _: &str, _: &Asked, _: u64) -> Answer {
    Ok(plain(json!({ "ip_list": ["101.89.47.18", "203.205.254.0/24"] })))
}

#[expect(clippy::unnecessary_wraps, reason = "interfaces have one form")]
fn api_addresses(_: &mut World, _: &str, _: &Asked, _: u64) -> Answer {
    Ok(plain(json!({ "ip_list": ["101.226.103.0/25", "109.244.146.16"] })))
}

/// The interface whose quota is meant.
fn meant(asked: &Asked) -> Result<&'static str, Refusal> {
    let path = asked.required("cgi_path", 76003)?;
    if path.starts_with("/sns/") {
        return Err(Refusal::new(76022));
    }
    APIS.iter().find(|api| api.path == path).map(|api| api.path).ok_or(Refusal::new(76021))
}

fn quota(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let told = world.quotas.told(appid, meant(asked)?, now_ms);
    Ok(ok(json!({
        "quota": { "daily_limit": told.limit, "used": told.used, "remain": told.limit.saturating_sub(told.used) },
        "rate_limit": { "call_count": 10_000, "refresh_second": 60 },
    })))
}

fn clear_quota(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    world.quotas.clear(appid, meant(asked)?, now_ms)?;
    Ok(ok(json!({})))
}

fn clear_quotas(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    if asked.anywhere("appid").ok_or(Refusal::new(41002))? != appid {
        return Err(Refusal::new(40013));
    }
    world.quotas.clear_all(appid, now_ms)?;
    Ok(ok(json!({})))
}

fn trace(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let request = world.rids.told(asked.required("rid", 76002)?, appid, now_ms)?;
    Ok(ok(json!({ "request": request })))
}
