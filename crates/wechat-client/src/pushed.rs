//! What WeChat pushes: the events that concern users and third-party platforms; everything else is passed on as it is.
//!
//! Source: WeChat, "Authorized user information changes" and "Third-party platform". Keys and texts are trimmed, since one
//! of WeChat's own samples has blanks in both. FromUserName is not the user: OpenID is.

use serde_json::{Map, Value};
use wxgate_crypto::push::body_fields;
use wxgate_crypto::{Digest, Secret};
use wxgate_domain::{OpenId, WechatAppid};

/// A pushed message, opened and read.
#[derive(Clone, Debug)]
pub struct PushedMessage {
    /// What happened.
    pub event: PushedEvent,
    /// The app that the message says it is about. It is part of what was signed only in an encrypted push.
    pub appid: Option<WechatAppid>,
    /// When WeChat wrote it, in seconds since 1970.
    pub created_at: Option<i64>,
    /// The same for two deliveries of one message.
    pub identity: Digest,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum PushedEvent {
    /// WeChat cleaned a profile: the stored nickname and avatar are no longer right. Seen without an OpenID.
    UserInfoModified {
        /// The user.
        openid: Option<OpenId>,
    },
    /// A user withdrew some information.
    AuthorizationRevoked {
        /// The user.
        openid: OpenId,
        /// WeChat's numbers of what was withdrawn: 6 nickname and avatar, 8 phone number, 19 nickname, 20 avatar, and others.
        revoked: Vec<u32>,
    },
    /// A user closed the WeChat account.
    AuthorizationCancelled {
        /// The user.
        openid: OpenId,
    },
    /// For a third-party platform.
    Platform(PlatformEvent),
    /// Anything else, for the tenant's own services.
    Other {
        /// The user whom it is about, or who sent it.
        from: Option<OpenId>,
    },
}

/// What concerns a third-party platform. The message's appid is the platform's.
#[derive(Clone, Debug)]
pub enum PlatformEvent {
    /// The ticket that the platform's token comes from.
    Ticket(Secret<String>),
    /// An app authorised the platform, or changed what it granted.
    Authorized {
        /// The app.
        appid: WechatAppid,
        /// For [`Client::query_auth`](crate::Client::query_auth).
        code: Secret<String>,
        /// What the authorisation was started with, if it was started by the platform.
        pre_auth_code: Option<Secret<String>>,
    },
    /// An app withdrew its authorisation.
    Unauthorized {
        /// The app.
        appid: WechatAppid,
    },
}

impl PushedMessage {
    /// Reads a message, JSON or XML. `None` if it is neither, or if an event of the kinds above lacks what it is about.
    pub fn read(message: &[u8]) -> Option<Self> {
        Self::of(&body_fields(message)?)
    }

    /// The same of the fields of a message. `None` if an event of the kinds above lacks what it is about.
    pub fn of(fields: &Map<String, Value>) -> Option<Self> {
        let fields = Fields(fields);
        let event = match fields.text("InfoType") {
            Some("component_verify_ticket") => {
                PushedEvent::Platform(PlatformEvent::Ticket(fields.secret("ComponentVerifyTicket")?))
            }
            Some("authorized" | "updateauthorized") => PushedEvent::Platform(PlatformEvent::Authorized {
                appid: fields.text("AuthorizerAppid")?.parse().ok()?,
                code: fields.secret("AuthorizationCode")?,
                pre_auth_code: fields.secret("PreAuthCode"),
            }),
            Some("unauthorized") => PushedEvent::Platform(PlatformEvent::Unauthorized {
                appid: fields.text("AuthorizerAppid")?.parse().ok()?,
            }),
            Some(_) => PushedEvent::Other { from: None },
            None => fields.user_event()?,
        };
        let appid = fields.text("AppID").or(fields.text("AppId")).and_then(|text| text.parse().ok());
        let identity = fields.identity(&event);
        Some(Self { event, appid, created_at: fields.number("CreateTime"), identity })
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| self.0.iter().find(|(key, _)| key.trim() == name).map(|(_, value)| value))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.text(name).map(|text| Secret::new(text.to_owned()))
    }

    /// A number of JSON, or the text of one, as all numbers are in XML.
    fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64().or_else(|| self.text(name)?.parse().ok())
    }

    fn user_event(&self) -> Option<PushedEvent> {
        let is_event = self.text("MsgType").is_some_and(|kind| kind.eq_ignore_ascii_case("event"));
        let named = |name| self.text(name).and_then(|text| text.parse().ok());
        let openid = named("OpenID");
        Some(match self.text("Event").filter(|_| is_event) {
            Some("user_info_modified") => PushedEvent::UserInfoModified { openid },
            Some("user_authorization_revoke") => {
                PushedEvent::AuthorizationRevoked { openid: openid?, revoked: self.revoked()? }
            }
            Some("user_authorization_cancellation") => PushedEvent::AuthorizationCancelled { openid: openid? },
            _ => PushedEvent::Other { from: openid.or_else(|| named("FromUserName")) },
        })
    }

    /// One number, or some with commas between them.
    fn revoked(&self) -> Option<Vec<u32>> {
        let text = match self.get("RevokeInfo")? {
            Value::Number(number) => number.to_string(),
            _ => self.text("RevokeInfo")?.to_owned(),
        };
        text.split(',').map(|number| number.trim().parse().ok()).collect()
    }

    /// MsgId where there is one; else sender, time, event and user, as WeChat advises. Of events that are not known here
    /// there may be several in one second that differ in anything else.
    fn identity(&self, event: &PushedEvent) -> Digest {
        let shown = |name: &str| self.get(name).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let parts = match shown("MsgId") {
            Some(id) => vec![Some(id)],
            None if matches!(event, PushedEvent::Other { .. }) => {
                return Digest::sha256(serde_json::json!(self.0).to_string().as_bytes());
            }
            None => ["FromUserName", "CreateTime", "Event", "InfoType", "OpenID", "RevokeInfo", "AuthorizerAppid"]
                .map(shown)
                .to_vec(),
        };
        // As JSON, so that the boundary between two parts counts.
        Digest::sha256(serde_json::json!(parts).to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Option<PushedMessage> {
        PushedMessage::read(message.as_bytes())
    }

    #[test]
    fn wechats_own_samples_are_read() {
        let json = r#"{"ToUserName":"gh_870882ca4b1","FromUserName":"oaKk346BaWE-eIn4oSRWbaM9vR7s","CreateTime":1627359464,
            "MsgType":"event","Event":"user_authorization_revoke"," OpenID":" oaKk343WOktAaT2ygsX138BGblrg",
            "AppID":"wx13974bf780d3dc89","RevokeInfo":"1"}"#;
        let message = read(json).unwrap();
        assert_eq!((message.appid.unwrap().as_str(), message.created_at), ("wx13974bf780d3dc89", Some(1_627_359_464)));
        let PushedEvent::AuthorizationRevoked { openid, revoked } = message.event else { panic!() };
        assert_eq!((openid.as_str(), revoked), ("oaKk343WOktAaT2ygsX138BGblrg", vec![1]));

        let xml = "<xml><FromUserName><![CDATA[owAqB1v0ahK]]></FromUserName><CreateTime>1626857200</CreateTime>\
            <MsgType><![CDATA[Event]]></MsgType><Event><![CDATA[user_authorization_cancellation]]></Event>\
            <OpenID><![CDATA[owAqB1nqaOYYWl0Ng484G2z5NIwU]]></OpenID></xml>";
        let message = read(xml).unwrap();
        assert_eq!(message.created_at, Some(1_626_857_200));
        assert!(matches!(message.event, PushedEvent::AuthorizationCancelled { .. }));
    }

    #[test]
    fn platforms_get_tickets_and_learn_of_authorisations() {
        let xml = |more: &str| format!("<xml><AppId>wx0000000000000001</AppId><CreateTime>1</CreateTime>{more}</xml>");
        let ticket = "<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@canary</ComponentVerifyTicket>";
        let message = read(&xml(ticket)).unwrap();
        assert!(!format!("{message:?}").contains("canary"));
        let PushedEvent::Platform(PlatformEvent::Ticket(ticket)) = message.event else { panic!() };
        assert_eq!(ticket.expose(), "ticket@@@canary");
        let authorized = "<InfoType>authorized</InfoType><AuthorizerAppid>wx2</AuthorizerAppid><AuthorizationCode>c</AuthorizationCode>";
        assert!(matches!(
            read(&xml(authorized)).unwrap().event,
            PushedEvent::Platform(PlatformEvent::Authorized { .. })
        ));
        let unauthorized = "<InfoType>unauthorized</InfoType><AuthorizerAppid>wx2</AuthorizerAppid>";
        assert!(matches!(
            read(&xml(unauthorized)).unwrap().event,
            PushedEvent::Platform(PlatformEvent::Unauthorized { .. })
        ));
        assert!(read(&xml("<InfoType>unauthorized</InfoType>")).is_none());
        assert!(matches!(read(&xml("<InfoType>new_kind</InfoType>")).unwrap().event, PushedEvent::Other { .. }));
    }

    #[test]
    fn an_event_without_its_user_is_none_and_what_is_unknown_is_passed_on() {
        let event = |event: &str, more: &str| read(&format!(r#"{{"MsgType":"event","Event":"{event}"{more}}}"#));
        assert!(event("user_authorization_cancellation", "").is_none());
        assert!(event("user_authorization_revoke", r#","OpenID":"oA","RevokeInfo":"eight""#).is_none());
        assert!(event("user_authorization_revoke", r#","OpenID":"oA""#).is_none());
        let modified = event("user_info_modified", "").unwrap().event;
        assert!(matches!(modified, PushedEvent::UserInfoModified { openid: None }));
        let many = event("user_authorization_revoke", r#","OpenID":"oA","RevokeInfo":"6, 8""#).unwrap().event;
        assert!(matches!(many, PushedEvent::AuthorizationRevoked { revoked, .. } if revoked == [6, 8]));
        assert!(matches!(event("debug_demo", "").unwrap().event, PushedEvent::Other { .. }));
        let text = r#"{"MsgType":"text","Event":"user_authorization_cancellation","OpenID":"oA"}"#;
        assert!(matches!(read(text).unwrap().event, PushedEvent::Other { .. }), "a message is no event");
        assert!(read("text").is_none() && read("[]").is_none());
    }

    #[test]
    fn two_deliveries_of_one_message_are_the_same() {
        let identity = |message: &str| read(message).unwrap().identity;
        let message = r#"{"MsgType":"event","Event":"a","FromUserName":"g","CreateTime":1,"OpenID":"oA"}"#;
        assert_eq!(identity(message), identity(message));
        assert_ne!(identity(message), identity(&message.replace("oA", "oB")));
        assert_ne!(identity(message), identity(&message.replace(":1,", ":2,")));
        let unknown = r#"{"MsgType":"event","Event":"b","FromUserName":"g","CreateTime":1,"trace_id":"x"}"#;
        assert_eq!(identity(unknown), identity(&unknown.replace(',', " , ")));
        assert_ne!(identity(unknown), identity(&unknown.replace("\"x\"", "\"y\"")));
        let numbered = r#"{"MsgType":"text","MsgId":23456789012345678,"CreateTime":1}"#;
        assert_eq!(identity(numbered), identity(&numbered.replace("\"CreateTime\":1", "\"CreateTime\":2")));
    }
}
