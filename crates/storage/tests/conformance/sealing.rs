//! What lies in the tables is sealed, each value to its row.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::Query;
use wxgate_crypto::SealError;
use wxgate_crypto::user_data::SessionKey;
use wxgate_domain::{NewSession, PhoneNumber, WechatIdentity};
use wxgate_storage::{
    Engine, NewPhone, PhoneCodeClaim, PhoneCodeResult, PushChange, PushRenewal, Renewal, SentPhoneCode, StorageError,
};

use crate::support::{TestDatabase, app, new_tenant, tenant};

/// The columns that are sealed.
const SEALED: [(&str, &str); 18] = [
    ("app", "secret"),
    ("app", "previous_secret"),
    ("signing_key", "private"),
    ("session", "session_key"),
    ("phone", "number"),
    ("phone_code", "number"),
    ("push_setting", "token"),
    ("push_setting", "previous_token"),
    ("push_setting", "aes_key"),
    ("push_setting", "previous_aes_key"),
    ("platform", "secret"),
    ("platform", "push_token"),
    ("platform", "previous_push_token"),
    ("platform", "aes_key"),
    ("platform", "previous_aes_key"),
    ("platform", "ticket"),
    ("platform", "access_token"),
    ("platform_app", "refresh_token"),
];

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

pub(crate) async fn no_secret_lies_open(database: TestDatabase) {
    let storage = database.started().await;
    let new = new_tenant("acme");
    let private = new.signing_key.private.clone();
    let tx = storage.begin().await.unwrap();
    let acme = tx.tenants().create(new).await.unwrap();
    tx.commit().await.unwrap();
    let shop = app(&storage, &acme, "wx1").await;
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).apps().rotate_secret(&shop.appid, &"the-second-one".parse().unwrap(), true).await.unwrap();
    tx.commit().await.unwrap();

    let tx = storage.begin().await.unwrap();
    let settings = tx.tenant(acme.id).push_settings();
    let (_, before, _) = settings.set(&shop.appid, PushChange::default()).await.unwrap();
    let (_, push) =
        settings.renew(&shop.appid, PushRenewal { token: Renewal::Made, key: Renewal::Made }).await.unwrap();
    tx.commit().await.unwrap();

    let of_platform = crate::platforms::furnish(&storage, &acme, 1).await;

    let session_key: [u8; 16] = database.random.bytes();
    let ada = WechatIdentity {
        openid: "oAda".parse().unwrap(),
        unionid: None,
        session_key: SessionKey::from_bytes(session_key),
    };
    let new = NewSession::of(&shop, &acme, ada, database.clock.now());
    let opened = storage.tenant(acme.id).open_session(new).await.unwrap();
    let number = PhoneNumber::new("86", "13800138000").unwrap();
    let phone = NewPhone { number: &number, is_verified: true, may_replace: false, leaves_after: None };
    let tx = storage.begin().await.unwrap();
    tx.tenant(acme.id).phones().bind(opened.user.id, &phone).await.unwrap();
    let sent = SentPhoneCode {
        app: shop.id,
        openid: &opened.openid,
        code: "canary-phone-code",
        most_of_user: 1,
        most_of_app: 1,
    };
    let codes = tx.tenant(acme.id).phone_codes();
    let PhoneCodeClaim::Exchange(ticket) = codes.claim(&sent).await.unwrap() else { panic!("a new code") };
    codes.settle(&ticket, PhoneCodeResult::Exchanged(&number)).await.unwrap();
    tx.commit().await.unwrap();

    let raw = database.raw().await;
    let mut stored = Vec::new();
    for (table, column) in SEALED {
        let query = Query::select().column(column).from(table).to_owned();
        for row in raw.query_all(&query).await.unwrap() {
            stored.extend(row.try_get::<Option<Vec<u8>>>("", column).unwrap().unwrap_or_default());
        }
    }
    raw.close().await.unwrap();
    assert!(stored.len() > 200, "{}", stored.len());
    if database.engine == Engine::Sqlite {
        // Everything that SQLite ever wrote, the log included.
        let config = database.config();
        let file = config.url.file().unwrap();
        stored.extend(std::fs::read(file).unwrap());
        stored.extend(std::fs::read(format!("{}-wal", file.display())).unwrap());
        assert!(contains(&stored, b"wx1"));
    }
    for secret in of_platform {
        assert!(!contains(&stored, secret.as_bytes()), "{secret} lies open");
    }
    let session_text = wxgate_crypto::encoding::to_base64(session_key);
    for secret in [
        b"secret-of-wx1".as_slice(),
        b"the-second-one",
        b"13800138000",
        b"canary-phone-code",
        private.expose(),
        &session_key,
        session_text.as_bytes(),
        push.token.expose().as_bytes(),
        push.current.expose().as_bytes(),
        before.token.expose().as_bytes(),
        before.current.expose().as_bytes(),
    ] {
        assert!(!contains(&stored, secret));
    }
    storage.stop().await;
}

pub(crate) async fn a_seal_opens_only_in_its_own_row(database: TestDatabase) {
    let storage = database.started().await;
    let acme = tenant(&storage, "acme").await;
    let (first, second) = (app(&storage, &acme, "wx1").await, app(&storage, &acme, "wx2").await);
    let raw = database.raw().await;
    let secrets = Query::select().column("secret").from("app").order_by("appid", sea_orm::Order::Asc).to_owned();
    let rows = raw.query_all(&secrets).await.unwrap();
    let moved: Vec<u8> = rows[0].try_get("", "secret").unwrap();
    let swap = Query::update()
        .table("app")
        .value("secret", moved)
        .and_where(sea_orm::sea_query::ExprTrait::eq(sea_orm::sea_query::Expr::col("id"), second.id.uuid()))
        .to_owned();
    raw.execute(&swap).await.unwrap();
    raw.close().await.unwrap();
    assert!(storage.apps().find(&first.appid).await.unwrap().is_some());
    let error = storage.apps().find(&second.appid).await.unwrap_err();
    assert_eq!(error, StorageError::Sealed(SealError::Forged));
    storage.stop().await;
}
