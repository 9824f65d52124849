//! `POST /cgi-bin/stable_token` and `GET /cgi-bin/token`.

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Api, Asked, Proof, plain};
use crate::state::{Refusal, World};
use crate::tokens::{Issued, Kind};

pub(crate) const STABLE_TOKEN: Api = Api {
    path: "/cgi-bin/stable_token",
    method: Method::POST,
    proof: Proof::Secret,
    main_field: "access_token",
    run: stable_token,
};

pub(crate) const TOKEN: Api =
    Api { path: "/cgi-bin/token", method: Method::GET, proof: Proof::Secret, main_field: "access_token", run: token };

fn stable_token(world: &mut World, appid: &str, asked: &Asked, now_ms: u64) -> Answer {
    let issued = world.tokens.stable(appid, asked.flag("force_refresh"), now_ms, &mut world.chance);
    issued.map(answer).map_err(|_| Refusal::new(45009))
}

#[expect(clippy::unnecessary_wraps, reason = "interfaces have one form")]
fn token(world: &mut World, appid: &str, _: &Asked, now_ms: u64) -> Answer {
    Ok(answer(world.tokens.renew(appid, Kind::Legacy, now_ms, &mut world.chance)))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map` hands over")]
fn answer(issued: Issued) -> Map<String, Value> {
    plain(json!({ "access_token": *issued.text, "expires_in": issued.expires_in }))
}
