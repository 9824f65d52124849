//! The policy is the first part of the address after `/forward-auth/`, as it was sent. What follows is the client's.

use super::{POLICY, STRICT, ask, denied, gateway, log_in, text};
use crate::harness::APP;
use crate::harness::raw::exchange;

/// Policies, spelled as they are not; none of these may be taken for one, nor for another route.
const NOT_POLICIES: [&str; 15] = [
    "",
    ".",
    "..",
    "SHOP",
    "shop%20",
    "shop%00",
    "%73hop",
    "sh%6fp",
    "shop%2F",
    "shop%2Fx",
    "shop;x=1",
    "shop..;",
    "shop.",
    "shop-admin-",
    "shop*",
];

#[tokio::test]
async fn refuses_unknown_policies_whatever_the_token() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    for policy in ["nobody", "shop-", "shop-admi", &"a".repeat(64), &"a".repeat(65), "Shop"] {
        denied(&ask(&gateway, policy, &login["access_token"]).await, 403, "POLICY_UNKNOWN");
        let reply = gateway.client().get(&format!("/forward-auth/{policy}")).await;
        denied(&reply, 403, "POLICY_UNKNOWN");
    }
}

/// Security test 43: proxy and gateway decide by the same address, or not at all.
#[tokio::test]
async fn refuses_policies_that_only_decoding_or_normalising_would_find() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let authorization = format!("Authorization: Bearer {}", text(&login["access_token"]));
    for policy in NOT_POLICIES {
        for rest in ["", "/", "/x"] {
            let reply =
                exchange(gateway.client(), &format!("GET /forward-auth/{policy}{rest}"), &[&authorization]).await;
            assert!(matches!(reply.status, 403 | 404), "{policy}{rest}: {}", reply.head);
            assert!(!reply.head.to_ascii_lowercase().contains("x-auth-"), "{policy}{rest}: {}", reply.head);
        }
    }
    for path in [
        "//forward-auth/shop",
        "/x/../forward-auth/shop",
        "/forward-auth//shop",
        "/forward-auth;/shop",
        "/Forward-Auth/shop",
        "/forward%2Dauth/shop",
        "/forward-auth%2Fshop",
        "/forward-auth/../forward-auth/shop",
        "/forward-auth",
        "/forward-auth/",
    ] {
        let reply = exchange(gateway.client(), &format!("GET {path}"), &[&authorization]).await;
        assert!(matches!(reply.status, 403 | 404), "{path}: {}", reply.head);
    }
}

/// Security test 43: whatever a client puts behind the policy, it stays under that policy.
#[tokio::test]
async fn an_odd_path_behind_the_policy_changes_nothing() {
    let gateway = gateway().await;
    let login = log_in(&gateway, APP).await;
    let authorization = format!("Authorization: Bearer {}", text(&login["access_token"]));
    let odd = [
        "/",
        "//",
        "/../shop",
        "/../../livez",
        "/..;/shop",
        "/%2e%2e/shop",
        "/..%2fshop",
        "/%2F",
        "/%00",
        "/%0a",
        "/%0D%0Ax",
        "/a/./b/../c",
        "/;jsessionid=1",
        "/shop",
        "/shop-admin",
        "/.",
        "/x.",
        "/%",
        "/%zz",
        "/%C3%A9",
        "/%FF",
        "/?",
        "?",
        "/a?b?c",
        "/a%3Fb",
        "/\u{e9}",
        "/+",
        "/*",
        "/~",
        "/a:b@c",
    ];
    for rest in odd {
        for (policy, token, expected) in [(POLICY, true, 200), (POLICY, false, 401), (STRICT, true, 403)] {
            let headers = [authorization.as_str()];
            let line = format!("GET /forward-auth/{policy}{rest}");
            let reply = exchange(gateway.client(), &line, if token { &headers } else { &[] }).await;
            // Bytes that no request line may have are refused before there is a route.
            let refused_early = !rest.is_ascii() && reply.status == 400;
            assert!(reply.status == expected || refused_early, "{line}: {}", reply.head);
            assert_eq!(reply.header("x-auth-tenant"), if reply.status == 200 { "demo" } else { "" });
        }
    }
}
