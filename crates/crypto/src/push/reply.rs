//! An encrypted answer to a push.

use serde::Serialize;

/// An answer, encrypted and signed. WeChat reads it in the format of the push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Reply {
    /// The frame, in base64.
    pub encrypt: String,
    /// The signature over token, time, nonce and frame.
    pub msg_signature: String,
    /// Our clock, in seconds.
    #[serde(rename = "TimeStamp")]
    pub timestamp: i64,
    /// The nonce of the push.
    pub nonce: String,
}

impl Reply {
    /// The body for a push in JSON.
    pub fn to_json(&self) -> String {
        // Texts and a number always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The body for a push in XML.
    pub fn to_xml(&self) -> String {
        format!(
            "<xml><Encrypt>{}</Encrypt><MsgSignature>{}</MsgSignature><TimeStamp>{}</TimeStamp><Nonce>{}</Nonce></xml>",
            cdata(&self.encrypt),
            cdata(&self.msg_signature),
            self.timestamp,
            cdata(&self.nonce)
        )
    }
}

/// A text as a CDATA section, or as two where it holds what ends one.
fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}
