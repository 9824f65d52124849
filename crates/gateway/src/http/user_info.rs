//! What a login shows of its user under the names of WeChat's own `userInfo`.

use serde_json::{Map, Value};
use wxgate_domain::{OpenId, Profile, UnionId};

/// What is stored of a user; what is not known is left out.
pub(super) fn stored(openid: &OpenId, unionid: Option<&UnionId>, profile: &Profile) -> Map<String, Value> {
    let fields = [
        ("openId", Some(openid.as_str())),
        ("unionId", unionid.map(UnionId::as_str)),
        ("nickName", profile.nickname.as_deref()),
        ("avatarUrl", profile.avatar_url.as_deref()),
    ];
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?)))).collect()
}
