//! WeChat's pages on which the administrator of a mini-program authorises a third-party platform.
//!
//! Source: WeChat, "Third-party platform: the authorisation process". A browser opens them; nothing is called here.

use url::Url;
use wxgate_crypto::Secret;
use wxgate_domain::WechatAppid;

use crate::component::PreAuthCode;

/// The parameter in which the browser brings the code of an authorisation back.
pub const RETURNED_CODE: &str = "auth_code";

const ON_A_COMPUTER: &str = "https://mp.weixin.qq.com/cgi-bin/componentloginpage";
const IN_WECHAT: &str = "https://open.weixin.qq.com/wxaopen/safe/bindcomponent";

/// Mini-programs only.
const MINI_PROGRAMS: &str = "2";

/// The page, on a computer and in WeChat itself. The addresses hold what `back` holds.
#[derive(Debug)]
pub struct AuthorizationPage {
    /// For a browser on a computer, which shows a QR code.
    pub on_a_computer: Secret<String>,
    /// For WeChat on a phone.
    pub in_wechat: Secret<String>,
}

impl AuthorizationPage {
    /// The page of a platform, from which the browser goes `back`. With an appid that mini-program alone is offered.
    pub fn new(
        platform: &WechatAppid,
        pre_auth_code: &PreAuthCode,
        back: &Secret<String>,
        appid: Option<&WechatAppid>,
    ) -> Self {
        let fields = [
            ("component_appid", platform.as_str()),
            ("pre_auth_code", pre_auth_code.code.expose()),
            ("redirect_uri", back.expose()),
            ("auth_type", MINI_PROGRAMS),
        ];
        // Both addresses are well-formed, so they parse.
        let address = |base: &str, more: &[(&str, &str)]| {
            Url::parse_with_params(base, more.iter().chain(&fields)).map(String::from).unwrap_or_default()
        };
        let mut more = vec![("action", "bindcomponent"), ("no_scan", "1")];
        more.extend(appid.map(|appid| ("biz_appid", appid.as_str())));
        Self {
            on_a_computer: Secret::new(address(ON_A_COMPUTER, &[])),
            in_wechat: Secret::new(format!("{}#wechat_redirect", address(IN_WECHAT, &more))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_way_back_is_one_parameter_whatever_stands_in_it() {
        let code =
            PreAuthCode { code: Secret::new("preauthcode@@@a b".to_owned()), expires_in: Duration::from_mins(10) };
        let back = Secret::new("https://auth.example/x?state=s1".to_owned());
        let (platform, appid) = ("wxplatform".parse().unwrap(), "wxshop".parse().unwrap());
        let page = AuthorizationPage::new(&platform, &code, &back, Some(&appid));
        let computer = Url::parse(page.on_a_computer.expose()).unwrap();
        let pairs: Vec<_> = computer.query_pairs().collect();
        assert!(pairs.contains(&("redirect_uri".into(), "https://auth.example/x?state=s1".into())), "{pairs:?}");
        assert!(pairs.contains(&("pre_auth_code".into(), "preauthcode@@@a b".into())), "{pairs:?}");
        assert!(page.in_wechat.expose().contains("&biz_appid=wxshop&"));
        assert!(page.in_wechat.expose().ends_with("&auth_type=2#wechat_redirect"));
        assert!(page.in_wechat.expose().contains("redirect_uri=https%3A%2F%2Fauth.example%2Fx%3Fstate%3Ds1"));
    }
}
