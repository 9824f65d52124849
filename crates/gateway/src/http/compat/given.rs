//! What a request of such a client says: the fields of its body, of its headers and, where its convention puts some
//! there, of its address. Fields go by many names; the one that a client does not use by convention is taken and counted.

use actix_web::{HttpRequest, web};
use serde_json::{Map, Value};
use wxgate_crypto::{Digest, Secret};
use wxgate_domain::WechatAppid;

use super::convention::{Place, Route};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::body;
use crate::service::user_data::UserDataFields;

/// The names of one field. The first is WeChat's own.
pub(super) type Names = &'static [&'static str];

const CODE: Names = &["code", "js_code", "jsCode", "loginCode", "wxCode", "xcxCode", "principal", "platCode"];
const PHONE_CODE: Names = &["phoneCode", "phoneNumberCode"];
const REFRESH_TOKEN: Names = &["refresh_token", "refreshToken"];
const APPID: Names = &["appid", "appId", "app_id"];
const ENCRYPTED_DATA: Names = &["encryptedData", "encrypted_data", "encryptData"];
const IV: Names = &["iv", "ivStr"];
const RAW_DATA: Names = &["rawData", "raw_data"];
const SIGNATURE: Names = &["signature"];
const NICKNAME: Names = &["nickName", "nickname", "nick_name", "username"];
const AVATAR: Names = &["avatarUrl", "avatar", "avatar_url"];

/// Objects in which clients pass on what WeChat gave them.
const INSIDE: &[&str] = &["userInfo", "userinfo", "platUserInfoMap"];

/// What must not stand in an address unless the convention has it there: addresses reach logs on the way.
const SECRETS: Names = &["token", "access_token", "accessToken", "skey", "session"];

/// Most fields of an address.
const MOST: usize = 64;

/// A request as it came, before it is known whose convention it follows.
pub(super) struct Given {
    body: Map<String, Value>,
    address: Vec<(String, String)>,
}

/// The fields of a request that follows a convention.
pub(super) struct Fields {
    all: Map<String, Value>,
    /// To know the same request again.
    pub(super) digest: Digest,
    /// The names that the convention does not use.
    strangers: Vec<&'static str>,
}

impl Given {
    /// Reads a request.
    ///
    /// # Errors
    /// As any body's: malformed, too large, of another media type; a `session_key` in body or address.
    pub(super) async fn read(request: &HttpRequest, payload: web::Payload) -> Result<Self, ApiError> {
        let body = body::fields(request, payload).await?;
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let address: Vec<_> =
            pairs.take(MOST + 1).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        if address.len() > MOST {
            return Err(Code::RequestInvalid.into());
        }
        if body::has_session_key(request.query_string()) {
            return Err(Code::FieldForbidden.into());
        }
        Ok(Self { body, address })
    }

    /// The mini-program that the body names, if it does.
    ///
    /// # Errors
    /// `APP_UNKNOWN` for text that no appid can be, `APP_MISMATCH` for two different ones.
    pub(super) fn appid(&self) -> Result<Option<WechatAppid>, ApiError> {
        let mut named = APPID.iter().filter_map(|name| said(self.body.get(*name)?));
        let Some(first) = named.next() else { return Ok(None) };
        if named.any(|other| other != first) {
            return Err(Code::AppMismatch.into());
        }
        first.parse().map(Some).map_err(|_| Code::AppUnknown.into())
    }

    /// The fields, each from where the route has it.
    ///
    /// # Errors
    /// `FIELD_FORBIDDEN` for a secret in an address that is not there by convention; `REQUEST_INVALID` for a field with two
    /// values.
    pub(super) fn fields(self, request: &HttpRequest, route: &Route) -> Result<Fields, ApiError> {
        let mut all = self.body;
        for (name, value) in self.address {
            if route.query.contains(&name.as_str()) {
                put(&mut all, &name, value)?;
            } else if [CODE, PHONE_CODE, REFRESH_TOKEN, SECRETS].iter().any(|names| names.contains(&name.as_str())) {
                return Err(Code::FieldForbidden.into());
            }
        }
        for (header, name) in route.headers {
            for value in request.headers().get_all(*header) {
                let text = value.to_str().map_err(|_| Code::RequestInvalid)?;
                put(&mut all, name, text.to_owned())?;
            }
        }
        let digest = Digest::sha256(&serde_json::to_vec(&all).unwrap_or_default());
        Ok(Fields { all, digest, strangers: Vec::new() })
    }
}

/// Lays a field over the others; one that is there already must be the same.
fn put(all: &mut Map<String, Value>, name: &str, value: String) -> Result<(), Code> {
    match all.get(name).and_then(said) {
        Some(known) if known != value => Err(Code::RequestInvalid),
        Some(_) => Ok(()),
        None => {
            all.insert(name.to_owned(), Value::String(value));
            Ok(())
        }
    }
}

/// The text of a field. What JavaScript makes of nothing is nothing.
fn said(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !matches!(*text, "" | "undefined" | "null"))
}

impl Fields {
    /// The code of `wx.login`, which this client calls `own`.
    ///
    /// # Errors
    /// `CODE_INVALID` if there is none.
    pub(super) fn code(&mut self, own: &str) -> Result<String, ApiError> {
        Ok(self.text(CODE, own, false)?.ok_or(Code::CodeInvalid)?)
    }

    /// The code of the phone button, if there is one.
    ///
    /// # Errors
    /// `REQUEST_INVALID` if it has two values.
    pub(super) fn phone_code(&mut self) -> Result<Option<String>, ApiError> {
        self.text(PHONE_CODE, "phoneCode", false)
    }

    /// The refresh token, which this client calls `own`.
    ///
    /// # Errors
    /// `REFRESH_INVALID` if there is none.
    pub(super) fn refresh_token(&mut self, own: &str) -> Result<Secret<String>, ApiError> {
        Ok(self.text(REFRESH_TOKEN, own, false)?.map(Secret::new).ok_or(Code::RefreshInvalid)?)
    }

    /// What `grant_type` says, in the words of RFC 6749.
    pub(super) fn is_refresh(&self) -> bool {
        self.all.get("grant_type").and_then(said) == Some("refresh_token")
    }

    /// The parts of user data.
    ///
    /// # Errors
    /// `REQUEST_INVALID` if one has two values.
    pub(super) fn user_data(&mut self) -> Result<UserDataFields, ApiError> {
        Ok(UserDataFields {
            encrypted_data: self.text(ENCRYPTED_DATA, "encryptedData", true)?,
            iv: self.text(IV, "iv", true)?,
            raw_data: self.text(RAW_DATA, "rawData", true)?,
            signature: self.text(SIGNATURE, "signature", true)?,
        })
    }

    /// Nickname and avatar, as the client says them.
    ///
    /// # Errors
    /// `REQUEST_INVALID` if one has two values.
    pub(super) fn profile(&mut self) -> Result<(Option<String>, Option<String>), ApiError> {
        Ok((self.text(NICKNAME, "", true)?, self.text(AVATAR, "", true)?))
    }

    /// What stands in one place where a token may be.
    pub(super) fn token(&self, request: &HttpRequest, place: Place) -> Option<String> {
        match place {
            Place::Header(name) => request.headers().get(name)?.to_str().ok().map(str::to_owned),
            Place::Field(name) => self.all.get(name).and_then(said).map(str::to_owned),
        }
        .filter(|token| !matches!(token.as_str(), "" | "undefined" | "null"))
    }

    /// The names that were taken though the convention does not use them.
    pub(super) fn strangers(&self) -> &[&'static str] {
        &self.strangers
    }

    /// A field by its names: the convention's own, else any other, of which no two may differ.
    fn text(&mut self, names: Names, own: &str, inside: bool) -> Result<Option<String>, ApiError> {
        let places = || {
            let inner = INSIDE.iter().filter(|_| inside).filter_map(|name| self.all.get(*name)?.as_object());
            std::iter::once(&self.all).chain(inner)
        };
        if let Some(value) = places().find_map(|place| said(place.get(own)?)) {
            return Ok(Some(value.to_owned()));
        }
        let mut found =
            places().flat_map(|place| names.iter().filter_map(|name| Some((*name, said(place.get(*name)?)?))));
        let Some((name, value)) = found.next() else { return Ok(None) };
        if found.any(|(_, other)| other != value) {
            return Err(Code::RequestInvalid.into());
        }
        let value = value.to_owned();
        if !own.is_empty() {
            self.strangers.push(name);
        }
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: &Value) -> Fields {
        let all = body.as_object().unwrap().clone();
        Fields { all, digest: Digest::sha256(b""), strangers: Vec::new() }
    }

    #[test]
    fn a_code_goes_by_many_names_and_its_own_comes_first() {
        for name in CODE {
            let mut given = fields(&json!({ *name: "c" }));
            assert_eq!(given.code("loginCode").unwrap(), "c", "{name}");
            let is_stranger = *name != "loginCode";
            assert_eq!(given.strangers().contains(name), is_stranger, "{name}");
        }
        assert_eq!(fields(&json!({"code": "phone's", "loginCode": "c"})).code("loginCode").unwrap(), "c");
        assert_eq!(
            fields(&json!({"js_code": "a", "wxCode": "b"})).code("code").unwrap_err().code,
            Code::RequestInvalid
        );
        for nothing in [json!({}), json!({"code": "undefined"}), json!({"code": null}), json!({"code": ""})] {
            assert_eq!(fields(&nothing).code("code").unwrap_err().code, Code::CodeInvalid, "{nothing}");
        }
    }

    #[test]
    fn user_data_stands_outside_or_inside() {
        for body in [
            json!({"encryptData": "e", "ivStr": "i"}),
            json!({"userInfo": {"encryptedData": "e", "iv": "i"}}),
            json!({"platUserInfoMap": {"encrypted_data": "e", "iv": "i"}}),
        ] {
            let data = fields(&body).user_data().unwrap();
            assert_eq!((data.encrypted_data.as_deref(), data.iv.as_deref()), (Some("e"), Some("i")), "{body}");
        }
        let mut given = fields(&json!({"userInfo": {"nickName": "n", "avatarUrl": "https://a", "code": "c"}}));
        assert_eq!(given.profile().unwrap(), (Some("n".to_owned()), Some("https://a".to_owned())));
        assert!(given.code("code").is_err(), "a code inside is another's");
    }

    #[test]
    fn an_appid_is_named_once() {
        let appid = |body: Value| Given { body: body.as_object().unwrap().clone(), address: Vec::new() }.appid();
        assert_eq!(appid(json!({"appId": "wx1"})).unwrap().unwrap().as_str(), "wx1");
        assert_eq!(appid(json!({"appid": ""})).unwrap(), None);
        assert_eq!(appid(json!({"appid": "wx1", "app_id": "wx2"})).unwrap_err().code, Code::AppMismatch);
        assert_eq!(appid(json!({"appid": "wx 1"})).unwrap_err().code, Code::AppUnknown);
    }
}
