//! Users by what WeChat calls them.

use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{App, NewSession, OpenedSession, Tenant, WechatIdentity};
use wxgate_storage::Storage;

use crate::support::{TestDatabase, app_in_group, tenant, union_group};

async fn log_in(
    database: &TestDatabase,
    storage: &Storage,
    (tenant, app): (&Tenant, &App),
    (openid, unionid): (&str, Option<&str>),
) -> OpenedSession {
    let identity = WechatIdentity {
        openid: openid.parse().unwrap(),
        unionid: unionid.map(|unionid| unionid.parse().unwrap()),
        session_key: SessionKey::from_bytes(database.random.bytes()),
    };
    let new = NewSession::of(app, tenant, identity, database.clock.now());
    storage.tenant(tenant.id).open_session(new).await.unwrap()
}

pub(crate) async fn a_user_is_found_by_what_wechat_calls_them(database: TestDatabase) {
    let storage = database.started().await;
    let (acme, umbrella) = (tenant(&storage, "acme").await, tenant(&storage, "umbrella").await);
    let (open, other) = (union_group(&storage, &acme, "open").await, union_group(&storage, &acme, "other").await);
    let first = app_in_group(&storage, &acme, "wx1", Some(open.id)).await;
    let second = app_in_group(&storage, &acme, "wx2", Some(open.id)).await;
    let third = app_in_group(&storage, &acme, "wx3", Some(other.id)).await;
    let ada = log_in(&database, &storage, (&acme, &first), ("oAda", Some("uAda"))).await.user;
    database.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(log_in(&database, &storage, (&acme, &second), ("oAda2", Some("uAda"))).await.user.id, ada.id);
    // The same text means somebody else in another Open Platform account, and in another app.
    let eve = log_in(&database, &storage, (&acme, &third), ("oAda", Some("uAda"))).await.user;
    assert_ne!(eve.id, ada.id);

    let users = storage.tenant(acme.id).users();
    let by_openid = async |appid: &str, openid: &str| {
        let found = users.of_openid(&appid.parse().unwrap(), &openid.parse().unwrap()).await.unwrap();
        found.map(|user| user.id)
    };
    assert_eq!(by_openid("wx1", "oAda").await, Some(ada.id));
    assert_eq!(by_openid("wx2", "oAda2").await, Some(ada.id));
    assert_eq!(by_openid("wx3", "oAda").await, Some(eve.id));
    for (appid, openid) in [("wx2", "oAda"), ("wx1", "oada"), ("wx9", "oAda")] {
        assert_eq!(by_openid(appid, openid).await, None, "{appid} {openid}");
    }
    let mut found: Vec<_> =
        users.of_unionid(&"uAda".parse().unwrap()).await.unwrap().into_iter().map(|user| user.id).collect();
    found.sort();
    let mut both = vec![ada.id, eve.id];
    both.sort();
    assert_eq!(found, both);
    assert!(users.of_unionid(&"uNobody".parse().unwrap()).await.unwrap().is_empty());

    let of_both = users.identities(&[ada.id, eve.id]).await.unwrap();
    let known: Vec<_> = of_both[&ada.id].iter().map(|known| (known.appid.as_str(), known.openid.as_str())).collect();
    assert_eq!(known, [("wx1", "oAda"), ("wx2", "oAda2")]);
    assert_eq!(of_both[&eve.id][0].unionid, Some("uAda".parse().unwrap()));

    let theirs = storage.tenant(umbrella.id).users();
    assert!(theirs.of_openid(&first.appid, &"oAda".parse().unwrap()).await.unwrap().is_none());
    assert!(theirs.of_unionid(&"uAda".parse().unwrap()).await.unwrap().is_empty());
    assert!(theirs.identities(&[ada.id]).await.unwrap().is_empty());
    storage.stop().await;
}
