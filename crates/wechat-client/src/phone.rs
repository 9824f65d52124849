//! A phone number: `POST /wxa/business/getuserphonenumber`, the exchange of a phone code, and what phone data says.
//!
//! Source: WeChat, "API: getPhoneNumber". Each success costs money, and a code works once.

use serde_json::{Map, Value};
use wxgate_crypto::Secret;
use wxgate_domain::{OpenId, PhoneNumber};

use crate::call::Access;
use crate::client::{Client, Inner};
use crate::error::BadResponse;
use crate::refusal::{CallError, Refused, RefusedClass};
use crate::transport::Budget;

const ROUTE: &str = "/wxa/business/getuserphonenumber";

/// Length of the codes that the phone button gives today: hexadecimal digits.
const USUAL_CODE: usize = 64;
const MAX_CODE: usize = 128;

/// A code of the phone button. It is another kind of code than that of `wx.login`, and neither serves as the other.
#[derive(Clone, Debug)]
pub struct PhoneCode(Secret<String>);

impl PhoneCode {
    /// Reads a code: 1 to 128 letters, digits, `_` or `-`. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let well_formed = (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(allowed);
        well_formed.then(|| Self(Secret::new(text.to_owned())))
    }

    /// The code as WeChat made it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether a text looks like a phone code: 64 hexadecimal digits. WeChat does not promise the shape, so this
    /// explains a refusal and never causes one: a login code has 32 characters.
    pub fn has_usual_shape(text: &str) -> bool {
        text.len() == USUAL_CODE && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// Reads phone data as the phone button of older base libraries gives it, decrypted: these four fields and no others, for the
/// numbers must not come from data of another kind. `None` for anything else.
///
/// That the numbers are consistent does not make them true: the ciphertext can be forged. See
/// [`Client::confirm_phone_data`](crate::Client::confirm_phone_data).
pub fn phone_in_data(data: &Map<String, Value>) -> Option<PhoneNumber> {
    const FIELDS: [&str; 4] = ["countryCode", "phoneNumber", "purePhoneNumber", "watermark"];
    (data.len() == FIELDS.len() && FIELDS.iter().all(|field| data.contains_key(*field))).then_some(())?;
    read_number(data)
}

/// Reads the three fields, which must agree.
fn read_number(info: &Map<String, Value>) -> Option<PhoneNumber> {
    let country_code = match info.get("countryCode")? {
        Value::String(text) => text.trim_start_matches('+').to_owned(),
        Value::Number(number) => number.as_u64()?.to_string(),
        _ => return None,
    };
    let national = digits(info.get("purePhoneNumber")?.as_str()?);
    let whole = digits(info.get("phoneNumber")?.as_str()?);
    let agree = whole == national || whole.strip_prefix(&country_code) == Some(&national);
    agree.then(|| PhoneNumber::new(&country_code, &national).ok()).flatten()
}

/// A number without the marks that people put between its digits.
fn digits(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '+' | '-' | ' ')).collect()
}

impl Client {
    /// Exchanges a phone code for the number of the user who pressed the button.
    ///
    /// The openid goes along, so WeChat refuses a code that another user got.
    ///
    /// # Errors
    /// See [`CallError`]. After [`CallError::Timeout`] and [`CallError::BadResponse`] the code may be used up.
    pub async fn phone_number(
        &self,
        access: &Access<'_>,
        code: &PhoneCode,
        openid: &OpenId,
    ) -> Result<PhoneNumber, CallError> {
        let mut budget = self.0.budget();
        let deadline = budget.deadline();
        let exchange = self.0.phone_number(access, code, openid, &mut budget);
        self.call(ROUTE, access.appid, deadline, exchange).await
    }
}

impl Inner {
    async fn phone_number(
        &self,
        access: &Access<'_>,
        code: &PhoneCode,
        openid: &OpenId,
        budget: &mut Budget,
    ) -> Result<PhoneNumber, CallError> {
        let parameters = [("code", code.expose()), ("openid", openid.as_str())];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
        let answer = self.post_as(access, ROUTE, parameters, budget).await;
        let answer = answer.map_err(|error| name_kind(error, code))?;
        read(&answer, access.appid.as_str()).map_err(CallError::from)
    }
}

fn read(answer: &Map<String, Value>, appid: &str) -> Result<PhoneNumber, BadResponse> {
    let info = answer.get("phone_info").and_then(Value::as_object).ok_or(BadResponse::Field("phone_info"))?;
    let watermark = info.get("watermark").and_then(Value::as_object).ok_or(BadResponse::Field("watermark"))?;
    if watermark.get("appid").and_then(Value::as_str) != Some(appid) {
        return Err(BadResponse::OtherApp);
    }
    read_number(info).ok_or(BadResponse::Field("phone_info"))
}

/// WeChat says "invalid openid" to a code of another user, and "invalid appid" to one of another mini-program.
const OTHERS: [i64; 2] = [40003, 40013];

/// WeChat says "invalid code" to a code of another kind; what the code looks like tells more.
fn name_kind(error: CallError, code: &PhoneCode) -> CallError {
    match error {
        CallError::Refused(refused) if OTHERS.contains(&refused.errcode) => {
            Refused { class: RefusedClass::CodeInvalid, ..refused }.into()
        }
        CallError::Refused(refused @ Refused { class: RefusedClass::CodeInvalid, .. })
            if !PhoneCode::has_usual_shape(code.expose()) =>
        {
            Refused { class: RefusedClass::CodeOfOtherKind, ..refused }.into()
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn phone(info: &Value) -> Option<String> {
        read_number(info.as_object().unwrap()).map(|number| number.e164().expose().to_owned())
    }

    #[test]
    fn numbers_of_all_countries_have_one_form() {
        for (whole, pure, country) in [
            ("13800138000", "13800138000", json!("86")),
            ("13800138000", "13800138000", json!(86)),
            ("+8613800138000", "13800138000", json!("+86")),
            ("86 138-0013-8000", "13800138000", json!("86")),
        ] {
            let info = json!({ "phoneNumber": whole, "purePhoneNumber": pure, "countryCode": country });
            assert_eq!(phone(&info).unwrap(), "+8613800138000", "{info}");
        }
        let foreign = json!({ "phoneNumber": "85251234567", "purePhoneNumber": "51234567", "countryCode": "852" });
        assert_eq!(phone(&foreign).unwrap(), "+85251234567");
    }

    #[test]
    fn numbers_that_disagree_are_none() {
        for (whole, pure, country) in [
            ("13800138000", "13900139000", json!("86")),
            ("8613800138000", "13800138000", json!("1")),
            ("13800138000", "13800138000", json!("")),
            ("13800138000", "13800138000", json!("8a")),
            ("13800138000", "13800138000", json!(-86)),
            ("13800138000", "13800138000", json!([86])),
            ("", "", json!("86")),
            ("1234567890123456", "1234567890123456", json!("86")),
            ("１３８００１３８０００", "１３８００１３８０００", json!("86")),
        ] {
            let info = json!({ "phoneNumber": whole, "purePhoneNumber": pure, "countryCode": country });
            assert_eq!(phone(&info), None, "{info}");
        }
    }

    #[test]
    fn phone_data_has_four_fields_and_no_others() {
        let data = json!({
            "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86",
            "watermark": { "appid": "wx1", "timestamp": 1 },
        });
        let read = |data: &Value| phone_in_data(data.as_object().unwrap());
        assert_eq!(read(&data).unwrap().national(), "13800138000");
        let mut more = data.clone();
        more["nickName"] = json!("Band");
        assert_eq!(read(&more), None);
        for field in ["phoneNumber", "purePhoneNumber", "countryCode", "watermark"] {
            let mut less = data.clone();
            less.as_object_mut().unwrap().remove(field);
            assert_eq!(read(&less), None, "{field}");
        }
    }

    #[test]
    fn codes_and_numbers_do_not_show() {
        let code = PhoneCode::parse("canary-code").unwrap();
        let info = json!({ "phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": "86" });
        let number = read_number(info.as_object().unwrap()).unwrap();
        let shown = format!("{code:?} {number:?}");
        assert!(!shown.contains("canary") && !shown.contains("138"), "{shown}");
        for wrong in ["", "a b", "é", &"a".repeat(129)] {
            assert!(PhoneCode::parse(wrong).is_none(), "{wrong}");
        }
        assert!(PhoneCode::has_usual_shape(&"0a".repeat(32)) && !PhoneCode::has_usual_shape(&"a".repeat(32)));
    }
}
