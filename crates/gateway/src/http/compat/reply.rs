//! Writes an answer as a template says.

use std::time::Duration;

use actix_web::http::StatusCode;
use serde_json::{Map, Value, json};
use wxgate_crypto::user_data;
use wxgate_domain::{
    OpenId, OpenedSession, Profile, RefreshedSession, SessionId, Timestamp, UnionId, UserId, WechatAppid,
};

use super::convention::{Template, Told, When};
use crate::http::code::Code;
use crate::http::error::{ApiError, PartError};
use crate::http::user_info;
use crate::service::tokens::Issued;

/// What there is to tell of something that went well.
pub(super) struct Facts<'a> {
    pub(super) now: Timestamp,
    pub(super) appid: &'a WechatAppid,
    pub(super) who: Who<'a>,
    pub(super) tokens: Option<&'a Issued>,
    pub(super) user_data: Option<&'a Result<Map<String, Value>, user_data::Failure>>,
    pub(super) phone_error: Option<Value>,
}

/// Whom an answer is about.
pub(super) struct Who<'a> {
    session: SessionId,
    user: UserId,
    openid: &'a OpenId,
    unionid: Option<&'a UnionId>,
    /// `None` where the answer does not look at it.
    profile: Option<&'a Profile>,
    phone: Option<String>,
}

impl<'a> From<&'a OpenedSession> for Who<'a> {
    fn from(session: &'a OpenedSession) -> Self {
        Self {
            session: session.id,
            user: session.user.id,
            openid: &session.openid,
            unionid: session.unionid.as_ref(),
            profile: Some(&session.user.profile),
            phone: session.phone.as_ref().map(|phone| phone.number.masked()),
        }
    }
}

impl<'a> From<&'a RefreshedSession> for Who<'a> {
    fn from(session: &'a RefreshedSession) -> Self {
        let RefreshedSession { id, user, openid, unionid, .. } = session;
        Self { session: *id, user: *user, openid, unionid: unionid.as_ref(), profile: None, phone: None }
    }
}

impl Facts<'_> {
    /// The object of a template.
    pub(super) fn tell(&self, template: Template) -> Value {
        object(template, |told| self.told(told))
    }

    fn told(&self, told: &Told) -> Option<Value> {
        let Who { session, user, openid, unionid, profile, phone } = &self.who;
        let text = |text: Option<&str>| text.map(Value::from);
        match told {
            Told::AccessToken => text(self.tokens.map(|tokens| tokens.access_token.expose().as_str())),
            Told::RefreshToken => text(self.tokens.map(|tokens| tokens.refresh_token.expose().as_str())),
            Told::ExpiresIn => self.tokens.map(|tokens| tokens.expires_in.into()),
            Told::ExpiresAtMillis => {
                self.tokens.map(|tokens| self.now.plus(Duration::from_secs(tokens.expires_in.into())).millis().into())
            }
            Told::RefreshExpiresIn => self.tokens.map(|tokens| tokens.refresh_expires_in.into()),
            Told::Scope => text(self.tokens.map(|tokens| tokens.scope.as_str())),
            Told::SessionId => Some(session.to_string().into()),
            Told::UserId => Some(user.to_string().into()),
            Told::Appid => text(Some(self.appid.as_str())),
            Told::OpenId => text(Some(openid.as_str())),
            Told::UnionId => text(unionid.map(UnionId::as_str)),
            Told::Nickname => text(profile.and_then(|profile| profile.nickname.as_deref())),
            Told::AvatarUrl => text(profile.and_then(|profile| profile.avatar_url.as_deref())),
            Told::UserInfo => Some(match (self.user_data, profile) {
                (Some(Ok(data)), _) => data.clone().into(),
                (_, Some(profile)) => user_info::stored(openid, *unionid, profile).into(),
                (_, None) => return None,
            }),
            Told::UserDataError => self
                .user_data
                .filter(|data| data.is_err())
                .map(|_| json!(PartError::from(ApiError::from(Code::SessionKeyStale)))),
            Told::PhoneError => self.phone_error.clone(),
            Told::PhoneMasked => text(phone.as_deref()),
            Told::Object(template) => Some(self.tell(template)),
            other => plain(other),
        }
    }
}

/// The object of a template about a failure.
pub(super) fn failure(template: Template, signals: &[(When, Told)], error: &ApiError) -> Value {
    let status = error.code.status();
    object(template, |told| match told {
        Told::Signal => Some(
            signals
                .iter()
                .find(|(when, _)| when.fits(status))
                .and_then(|(_, signal)| plain(signal))
                .unwrap_or_else(|| status.as_u16().into()),
        ),
        Told::Sentence => Some(sentence(status).into()),
        Told::Code => Some(error.code.name().into()),
        Told::Action => error.action.map(|action| json!(action)),
        other => plain(other),
    })
}

/// What these clients show to their users, in the language that they are written in.
fn sentence(status: StatusCode) -> &'static str {
    const SENTENCES: &[(When, &str)] = &[
        (When::Unauthorized, "登录已过期，请重新登录"),
        (When::Forbidden, "暂时无法登录，请联系客服"),
        (When::TooMany, "请求过于频繁，请稍后再试"),
        (When::Server, "服务器开小差了，请稍后再试"),
        (When::Any, "请求有误，请重试"),
    ];
    SENTENCES.iter().find(|(when, _)| when.fits(status)).map_or("", |(_, text)| text)
}

fn object(template: Template, told: impl Fn(&Told) -> Option<Value>) -> Value {
    let fields = template.iter().filter_map(|(name, what)| Some(((*name).to_owned(), told(what)?)));
    fields.collect::<Map<_, _>>().into()
}

/// What a template says by itself.
fn plain(told: &Told) -> Option<Value> {
    match told {
        Told::Number(number) => Some((*number).into()),
        Told::Text(text) => Some((*text).into()),
        Told::Texts(texts) => Some((*texts).into()),
        Told::True => Some(true.into()),
        Told::Null => Some(Value::Null),
        _ => None,
    }
}
