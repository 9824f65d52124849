//! Which clients an app has: wxgate's own, or some that were written for another server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::MalformedId;

macro_rules! profiles {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A convention of requests and replies, by the client that made it known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub enum ClientProfile {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ClientProfile {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in policies.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

profiles! {
    /// wxgate's own: `/v1/...` and nothing else.
    #[default]
    Native "native";
    /// The client SDK of Tencent's wafer2.
    Wafer2 "wafer2";
    /// The client SDK of the first wafer, made for wafer-node-session.
    WaferSession "wafer-session";
    /// litemall's mini-program.
    Litemall "litemall";
    /// mall4m, the mini-program of mall4j.
    Mall4m "mall4m";
    /// The apps of yudao (ruoyi-vue-pro).
    Yudao "yudao";
    /// Clients of RuoYi-Vue-Plus.
    RuoyiPlus "ruoyi-plus";
    /// unibest with one token.
    Unibest "unibest";
    /// unibest with an access token and a refresh token.
    UnibestDouble "unibest-double";
    /// Clients of simple-admin's member service.
    SimpleAdmin "simple-admin";
    /// weRequest.
    WeRequest "we-request";
    /// Clients that read RFC 6749, casdoor's sample among them.
    OAuth "oauth";
}

impl fmt::Display for ClientProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ClientProfile {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let names = "one of the names in docs/compatibility.md";
        Self::ALL.iter().copied().find(|profile| profile.as_str() == text).ok_or(MalformedId(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_back_from_its_name() {
        for profile in ClientProfile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(*profile));
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.as_str());
        }
        assert!("wafer".parse::<ClientProfile>().is_err());
    }
}
