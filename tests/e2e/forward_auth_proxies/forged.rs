//! Clients that say themselves who they are.

use super::{House, SERVED, on_each_proxy};
use crate::harness::proxy::Kind;

on_each_proxy! {
    headers_of_a_client_never_reach_the_service
    headers_of_a_client_are_no_token
    a_client_cannot_have_the_gateways_headers_dropped
}

/// In every spelling that somebody takes for the same name.
const FORGED: &[&str] = &[
    "X-Auth-Sub: mallory\r\n",
    "x-auth-sub: mallory\r\n",
    "X-AUTH-SUB: mallory\r\n",
    "x_auth_sub: mallory\r\n",
    "X_Auth_Sub: mallory\r\n",
    "X-Auth_Sub: mallory\r\n",
    "X_Auth-Sub: mallory\r\n",
    "X-Auth-Sub: mallory\r\nX-Auth-Sub: mallory\r\n",
    "X-Auth-Sub: \r\nX_Auth_Sub: mallory\r\nX-Auth-Sub: mallory\r\n",
    "X-Auth-Tenant: other\r\nX-Auth-App: other\r\nX-Auth-Sid: other\r\nX-Auth-Scope: admin\r\n",
    "X_Auth_Tenant: other\r\nX_Auth_App: other\r\nX_Auth_Sid: other\r\nX_Auth_Scope: admin\r\n",
];

/// And as no proper header at all.
const MALFORMED: &[&str] = &[
    "X-Auth-Sub : mallory\r\n",
    "X-Auth-Sub\t: mallory\r\n",
    " X-Auth-Sub: mallory\r\n",
    "X-Other: a\r\n X-Auth-Sub: mallory\r\n",
    "X-Other: a\nX-Auth-Sub: mallory\r\n",
    "X-Other: a\rX-Auth-Sub: mallory\r\n",
    "X-Auth-Sub\0: mallory\r\n",
    "X-Auth-Sub: mal\0lory\r\n",
    "X-Auth-Sub\r\n",
];

async fn headers_of_a_client_never_reach_the_service(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    for headers in FORGED {
        let before = house.service.calls();
        let reply = house.send("GET /", Some(&house.token), headers).await;
        house.faithful(headers, before, &reply);
        assert!(reply.ends_with(SERVED), "{reply}");
    }
    for headers in MALFORMED {
        let before = house.service.calls();
        let reply = house.send("GET /", Some(&house.token), headers).await;
        house.faithful_or_refused(headers, before, &reply);
    }
}

async fn headers_of_a_client_are_no_token(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    for headers in FORGED.iter().chain(MALFORMED) {
        house.refused(headers, 0, &house.send("GET /", None, headers).await);
        house.refused(headers, 0, &house.send("GET /", Some("nonsense"), headers).await);
    }
}

/// A proxy forgets the headers that Connection names (RFC 9110 section 7.6.1), and must not forget these.
async fn a_client_cannot_have_the_gateways_headers_dropped(kind: Kind) {
    let Some(house) = House::start(kind).await else { return };
    for headers in [
        "Connection: X-Auth-Sub\r\n",
        "Connection: close, x-auth-sub, X-Auth-Scope\r\n",
        "Connection: X-Auth-Sub\r\nConnection: X-Auth-Sid\r\nX-Auth-Sub: mallory\r\n",
        "Proxy-Connection: X-Auth-Sub\r\n",
        "Keep-Alive: X-Auth-Sub\r\n",
        "TE: X-Auth-Sub\r\n",
        "Trailer: X-Auth-Sub\r\n",
    ] {
        let before = house.service.calls();
        let reply = house.send("GET /", Some(&house.token), headers).await;
        house.faithful_or_refused(headers, before, &reply);
    }
    let before = house.service.calls();
    let reply = house.send("GET /", Some(&house.token), "Connection: Authorization\r\n").await;
    house.faithful_or_refused("the token named in Connection", before, &reply);
}
