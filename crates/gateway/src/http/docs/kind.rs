//! What a value is, in a few words: from its schema.

use serde_json::Value;

use super::page::{escaped, text};

/// A schema in a line.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = escaped(name.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).map(escaped).collect();
        return format!("one of {}", values.join(", "));
    }
    for (together, word) in [("allOf", " with "), ("oneOf", " or "), ("anyOf", " or ")] {
        if let Some(parts) = schema.get(together).and_then(Value::as_array) {
            return parts.iter().map(kind).collect::<Vec<_>>().join(word);
        }
    }
    let types: Vec<_> = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).map(escaped).collect(),
        Some(Value::String(only)) => vec![escaped(only)],
        _ => Vec::new(),
    };
    let items = schema.get("items").map(|items| format!(" of {}", kind(items))).unwrap_or_default();
    format!("{}{items}{}", types.join(" or "), bounds(schema))
}

fn bounds(schema: &Value) -> String {
    let bound = |name: &str| schema.get(name).filter(|value| value.is_number());
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        (None, None) => String::new(),
    }
}

/// The fields of an object as a table; nothing for what has none of its own.
pub(super) fn fields(schema: &Value) -> String {
    let parts = schema.get("allOf").and_then(Value::as_array);
    if let Some(parts) = parts {
        let parts: Vec<_> = parts.iter().map(|part| format!("<p>{}</p>{}", kind(part), fields(part))).collect();
        return parts.concat();
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return String::new() };
    let required: Vec<_> = schema.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let rows = properties.iter().map(|(name, field)| {
        let needed = if required.iter().any(|required| required.as_str() == Some(name)) { "required" } else { "" };
        let (name, said) = (escaped(name), text(field, "/description"));
        format!("<tr><th><code>{name}</code><td>{needed}<td>{}<td>{said}", kind(field))
    });
    format!("<table>{}</table>", rows.collect::<String>())
}
