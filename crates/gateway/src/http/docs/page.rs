//! The page: the groups of the document with their operations, then the schemas. Everything in it is escaped, and nothing
//! in it acts.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::kind::{fields, kind};

/// The only style of the page.
pub(super) const STYLE: &str = include_str!("style.css");

/// The methods, in the order of the page.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The document as HTML.
pub(super) fn of(document: &Value) -> String {
    let mut html = String::with_capacity(512 * 1024);
    // Writing into memory cannot fail.
    let _ = write(&mut html, document);
    html
}

/// Text that stays text.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The text at a place, escaped; empty if there is none.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    escaped(value.pointer(pointer).and_then(Value::as_str).unwrap_or_default())
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn entries<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn write(html: &mut String, document: &Value) -> std::fmt::Result {
    let (title, version) = (text(document, "/info/title"), text(document, "/info/version"));
    write!(html, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title} {version}: API</title>")?;
    write!(html, "<meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>")?;
    write!(html, "<h1>{title} {version}</h1><p>{}</p>", text(document, "/info/description"))?;
    write!(html, "<p>For machines: <a href=\"/openapi.json\">/openapi.json</a>.</p>")?;
    for tag in list(document, "/tags") {
        let name = text(tag, "/name");
        write!(html, "<h2 id=\"{name}\">{name}</h2><p>{}</p>", text(tag, "/description"))?;
        for (path, item) in entries(document, "/paths") {
            for method in METHODS {
                let operation = item.get(method).filter(|operation| text(operation, "/tags/0") == name);
                if let Some(operation) = operation {
                    write_operation(html, document, (method, path), operation)?;
                }
            }
        }
    }
    write!(html, "<h2 id=\"schemas\">schemas</h2>")?;
    for (name, schema) in entries(document, "/components/schemas") {
        let name = escaped(name);
        write!(html, "<details id=\"schema-{name}\"><summary><code>{name}</code></summary>")?;
        write!(html, "<p>{}</p>{}</details>", text(schema, "/description"), fields(schema))?;
    }
    html.write_str("</html>")
}

fn write_operation(
    html: &mut String,
    document: &Value,
    (method, path): (&str, &str),
    operation: &Value,
) -> std::fmt::Result {
    let (id, path) = (text(operation, "/operationId"), escaped(path));
    write!(html, "<details id=\"{id}\"><summary><b>{method}</b> <code>{path}</code> ")?;
    write!(html, "<span>{}</span></summary><p>{}</p>", text(operation, "/summary"), text(operation, "/description"))?;
    let ways = || list(operation, "/security").filter_map(Value::as_object).flat_map(Map::keys);
    for way in ways() {
        let what = text(document, &format!("/components/securitySchemes/{way}/description"));
        write!(html, "<p>Asks for <code>{}</code>: {what}</p>", escaped(way))?;
    }
    write_parameters(html, operation)?;
    for (media_type, content) in entries(operation, "/requestBody/content") {
        let schema = content.get("schema").unwrap_or(&Value::Null);
        write!(html, "<h3>Body, <code>{}</code></h3><p>{}</p>{}", escaped(media_type), kind(schema), fields(schema))?;
    }
    html.write_str("<h3>Answers</h3><table>")?;
    for (status, answer) in entries(operation, "/responses") {
        let told = text(answer, "/description").replace("\n- ", "<br>");
        let told = told.trim_start_matches("- ").replace('`', "");
        let kinds = entries(answer, "/content").filter(|_| status.starts_with('2')).map(|(media_type, content)| {
            format!("<br><code>{}</code> {}", escaped(media_type), content.get("schema").map(kind).unwrap_or_default())
        });
        write!(html, "<tr><th>{}<td>{told}{}", escaped(status), kinds.collect::<String>())?;
    }
    html.write_str("</table></details>")
}

fn write_parameters(html: &mut String, operation: &Value) -> std::fmt::Result {
    if list(operation, "/parameters").next().is_none() {
        return Ok(());
    }
    html.write_str("<h3>Parameters</h3><table>")?;
    for parameter in list(operation, "/parameters") {
        let needed = if parameter.get("required") == Some(&Value::Bool(true)) { ", required" } else { "" };
        let schema = parameter.get("schema").map(kind).unwrap_or_default();
        let (name, place) = (text(parameter, "/name"), text(parameter, "/in"));
        write!(html, "<tr><th><code>{name}</code><td>{place}{needed}<td>{schema}")?;
        write!(html, "<td>{}", text(parameter, "/description"))?;
    }
    html.write_str("</table>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_document_says_stays_text() {
        let evil = "<script>alert(1)</script>\"'&";
        let operation = json!({"tags": [evil], "operationId": evil, "summary": evil, "description": evil,
            "parameters": [{"name": evil, "in": evil, "description": evil, "schema": {"type": "string"}}],
            "requestBody": {"content": {evil: {"schema": {"properties": {evil: {"description": evil}}}}}},
            "responses": {evil: {"description": evil, "content": {}}}});
        let page = of(&json!({"info": {"title": evil, "version": evil, "description": evil},
            "tags": [{"name": evil, "description": evil}], "paths": {evil: {"get": operation}},
            "components": {"schemas": {evil: {"description": evil}}}}));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains("\"'&"), "{page}");
    }
}
