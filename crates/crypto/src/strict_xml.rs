//! XML as WeChat's pushes use it, and nothing more of XML than that.
//!
//! No document type, so no entities of its own and nothing fetched from elsewhere; no attributes, comments or processing
//! instructions but the declaration at the start. Depth is bounded. What two parsers could read in two ways is refused.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

/// Deepest nesting of elements that is read, the root included.
pub const MAX_DEPTH: usize = 8;

/// Not one XML document of the plain kind that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not XML, or with parts that are not read: a document type, attributes, comments, unknown entities")]
pub struct NotStrictXml;

/// A root element that holds elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The root's name.
    pub root: String,
    /// What it holds: a text for an element with text, an object for one with elements. Below the first level a name
    /// may repeat, which gives an array.
    pub children: Map<String, Value>,
}

/// Reads one document.
///
/// # Errors
/// Not UTF-8, not XML, anything that is not read here, nesting beyond [`MAX_DEPTH`], a name twice in the root.
pub fn parse(bytes: &[u8]) -> Result<Document, NotStrictXml> {
    let text = std::str::from_utf8(bytes).map_err(|_| NotStrictXml)?;
    let mut reader = Reader::from_str(text.trim_start());
    let (root, content) = root(&mut reader)?;
    let children = match content {
        Value::Object(children) => children,
        // `<xml></xml>` holds nothing; a root that is text is no document here.
        Value::String(text) if text.trim().is_empty() => Map::new(),
        _ => return Err(NotStrictXml),
    };
    loop {
        match next(&mut reader)? {
            Event::Eof => return Ok(Document { root, children }),
            Event::Text(text) if is_blank(&text) => {}
            _ => return Err(NotStrictXml),
        }
    }
}

/// The one element that everything is in; before it a declaration may stand, at the very start.
fn root(reader: &mut Reader<&[u8]>) -> Result<(String, Value), NotStrictXml> {
    let mut event = next(reader)?;
    if let Event::Decl(_) = event {
        event = next(reader)?;
    }
    while let Event::Text(text) = &event
        && is_blank(text)
    {
        event = next(reader)?;
    }
    match event {
        Event::Start(tag) => Ok((name(&tag)?, content(reader, MAX_DEPTH, true)?)),
        Event::Empty(tag) => Ok((name(&tag)?, Value::Object(Map::new()))),
        _ => Err(NotStrictXml),
    }
}

fn next<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>, NotStrictXml> {
    reader.read_event().map_err(|_| NotStrictXml)
}

/// What an element holds, to its end tag, whose name the reader checks.
fn content(reader: &mut Reader<&[u8]>, depth: usize, unique: bool) -> Result<Value, NotStrictXml> {
    let inner = depth.checked_sub(1).ok_or(NotStrictXml)?;
    let (mut text, mut quoted, mut children) = (String::new(), None::<String>, Map::new());
    loop {
        match next(reader)? {
            Event::Text(plain) => text.push_str(&plain),
            Event::GeneralRef(entity) => text.push(character(&entity)?),
            Event::CData(plain) => quoted.get_or_insert_default().push_str(&plain),
            Event::Start(tag) => {
                let name = name(&tag)?;
                add(&mut children, &name, content(reader, inner, false)?, unique)?;
            }
            Event::Empty(tag) => add(&mut children, &name(&tag)?, Value::String(String::new()), unique)?,
            Event::End(_) => return value(text, quoted, children),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {
                return Err(NotStrictXml);
            }
        }
    }
}

/// The name of an element without attributes.
fn name(tag: &BytesStart<'_>) -> Result<String, NotStrictXml> {
    let bare = is_blank(tag.attributes_raw());
    let name = tag.name().into_inner();
    (bare && is_name(name)).then(|| name.to_owned()).ok_or(NotStrictXml)
}

/// One of the five entities that XML has without a document type, or a character by its number.
fn character(entity: &BytesRef<'_>) -> Result<char, NotStrictXml> {
    match &**entity {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => entity.resolve_char_ref().ok().flatten().ok_or(NotStrictXml),
    }
}

/// What an element holds: elements, or a quoted text with blanks around it, or a plain text; never two of them.
fn value(text: String, quoted: Option<String>, children: Map<String, Value>) -> Result<Value, NotStrictXml> {
    let blank = is_blank(&text);
    match (quoted, children.is_empty()) {
        (None, true) => Ok(Value::String(text)),
        (Some(quoted), true) if blank => Ok(Value::String(quoted)),
        (None, false) if blank => Ok(Value::Object(children)),
        _ => Err(NotStrictXml),
    }
}

fn add(children: &mut Map<String, Value>, name: &str, value: Value, unique: bool) -> Result<(), NotStrictXml> {
    match children.get_mut(name) {
        None => {
            children.insert(name.to_owned(), value);
        }
        Some(_) if unique => return Err(NotStrictXml),
        Some(Value::Array(items)) => items.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<Value> {
        parse(text.as_bytes()).ok().map(|document| Value::Object(document.children))
    }

    #[test]
    fn a_push_is_read() {
        let text = "<?xml version=\"1.0\"?>\n<xml>\n<Event><![CDATA[a<b]]></Event><CreateTime>7</CreateTime >\n<None/>\
                    <Plain>&lt;&#x5C0F;&#26126;&amp;</Plain><List><item><A>1</A></item><item><A>2</A></item></List></xml>\n";
        let expected = json!({
            "Event": "a<b", "CreateTime": "7", "None": "", "Plain": "<小明&",
            "List": {"item": [{"A": "1"}, {"A": "2"}]},
        });
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read("<xml></xml>").unwrap(), json!({}));
        assert_eq!(read("<xml><A>\n<![CDATA[]]]]><![CDATA[>]]> </A></xml>").unwrap(), json!({"A": "]]>"}));
    }

    #[test]
    fn what_reads_files_or_has_two_meanings_is_refused() {
        for wrong in [
            "",
            "text",
            "<xml>",
            "<xml>text</xml>",
            "<xml/><xml/>",
            "<xml></xml>x",
            "<xml><A>1</B></xml>",
            "<xml><A>1</A><A>2</A></xml>",
            "<xml><A>1</A><A/></xml>",
            "<xml><A b=\"c\">1</A></xml>",
            "<xml><A>1<B>2</B></A></xml>",
            "<xml><A>1<![CDATA[2]]></A></xml>",
            "<xml><!-- --><A>1</A></xml>",
            "<xml><?php ?></xml>",
            "<xml><A>&file;</A></xml>",
            "<xml><A>&#0;</A></xml>",
            "<xml><A>&#xD800;</A></xml>",
            "<xml><A>&#+65;</A></xml>",
            "<xml><A>&amp</A></xml>",
            "<xml><A><![CDATA[1]]</A></xml>",
            "<xml><1>2</1></xml>",
            "< xml></xml>",
            "<!DOCTYPE xml [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><A>&a;</A></xml>",
            "<!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY l \"&lol;&lol;\">]><xml><A>&l;</A></xml>",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert!(parse(b"<xml><A>\xff</A></xml>").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(read(&nested(MAX_DEPTH)).is_some());
        assert!(read(&nested(MAX_DEPTH + 1)).is_none());
        assert!(read(&"<a>".repeat(100_000)).is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", tags in "[<>/!\\[\\]&;#xCDAT a1]{0,80}") {
            let _ = parse(text.as_bytes());
            let _ = parse(tags.as_bytes());
            let _ = parse(format!("<xml>{tags}</xml>").as_bytes());
        }

        #[test]
        fn a_quoted_text_comes_back(text in "\\PC{0,60}") {
            let quoted = text.replace("]]>", "]]]]><![CDATA[>");
            let read = read(&format!("<xml><A><![CDATA[{quoted}]]></A></xml>")).unwrap();
            prop_assert_eq!(read, json!({"A": text}));
        }
    }
}
