//! JSON as input from outside is read: one meaning only.
//!
//! Parsers disagree about duplicate keys (RFC 8259 section 4), so a document that has one is refused. Depth is
//! bounded, so no document can exhaust the stack.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use zeroize::Zeroizing;

/// Deepest nesting of arrays and objects that is read.
pub const MAX_DEPTH: usize = 8;

/// Not one JSON document without duplicate keys and within [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not JSON, or with a duplicate key, or nested deeper than {MAX_DEPTH}")]
pub struct NotStrictJson;

/// Reads one JSON document.
///
/// # Errors
/// Not UTF-8, not JSON, anything after the document, a duplicate key, or nesting beyond [`MAX_DEPTH`].
pub fn parse(bytes: &[u8]) -> Result<Value, NotStrictJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict(MAX_DEPTH).deserialize(&mut deserializer).map_err(|_| NotStrictJson)?;
    deserializer.end().map_err(|_| NotStrictJson)?;
    Ok(value)
}

/// The same for what WeChat says of people, whose nicknames may hold control characters as they are: inside a text they
/// count as if they were escaped.
///
/// # Errors
/// As of [`parse`], but for that.
pub fn parse_profile(bytes: &[u8]) -> Result<Value, NotStrictJson> {
    parse(bytes).or_else(|_| parse(&escaped(bytes)))
}

/// The document with the control characters of its texts escaped.
fn escaped(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut escaped = Zeroizing::new(Vec::with_capacity(bytes.len() * 6));
    let (mut in_text, mut after_backslash) = (false, false);
    for byte in bytes {
        match byte {
            0..0x20 if in_text && !after_backslash => escaped.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => escaped.push(*byte),
        }
        in_text ^= *byte == b'"' && !after_backslash;
        after_backslash = in_text && *byte == b'\\' && !after_backslash;
    }
    escaped
}

/// The remaining depth.
#[derive(Clone, Copy)]
struct Strict(usize);

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn duplicate_keys_are_refused_at_any_level() {
        assert!(parse(br#"{"a":1,"b":{"a":2}}"#).is_ok());
        assert!(parse(br#"{"a":1,"a":1}"#).is_err());
        assert!(parse(br#"{"a":1,"\u0061":1}"#).is_err());
        assert!(parse(br#"[{"x":{"b":1,"b":2}}]"#).is_err());
    }

    #[test]
    fn a_nickname_holds_what_wechat_let_in() {
        let raw = b"{\"nickName\":\"a\x01\tb\\\"\nc\\\\\",\n\t\"x\":1}";
        assert!(parse(raw).is_err());
        let read = parse_profile(raw).unwrap();
        assert_eq!(read, serde_json::json!({ "nickName": "a\u{1}\tb\"\nc\\", "x": 1 }));
        for still_wrong in
            [&b"{\"a\":\"\x01\",\"a\":1}"[..], b"{\x01}", b"{\"a\":\"\x01}", b"{\"a\":\"\\\x01\"}", b"[\"\xff\x01\"]"]
        {
            assert!(parse_profile(still_wrong).is_err(), "{still_wrong:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse("[[[[[[[[1]]]]]]]]".as_bytes()).is_ok());
        assert!(parse("[[[[[[[[[1]]]]]]]]]".as_bytes()).is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn only_one_whole_document_is_read() {
        for wrong in ["", "{} {}", "{", "{'a':1}", "{\"a\":NaN}", "\u{feff}{}", "{\"a\":1e999}"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
