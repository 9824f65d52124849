//! The API's document, as somebody reads it who wants to try everything.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::lacking;
use crate::harness::{Gateway, Operator, Reply};

/// The document that the gateway serves.
pub(super) struct Document(Value);

/// One operation of it.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    path: String,
    written: Value,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the path: it names something.
    Path,
    /// In the query or the body.
    Given,
}

impl Document {
    pub(super) async fn of(gateway: &Gateway) -> Self {
        Self(gateway.admin().get("/openapi.json").await.ok())
    }

    fn all(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(|(method, written)| Operation {
                id: written["operationId"].as_str().unwrap().to_owned(),
                method: method.clone(),
                path: path.clone(),
                written: written.clone(),
            })
        });
        operations.collect()
    }

    /// What an admin key is needed for.
    pub(super) fn operations(&self) -> Vec<Operation> {
        self.all().into_iter().filter(Operation::needs_admin_key).collect()
    }

    /// What is on the public listener, beside what serves clients of old.
    pub(super) fn public(&self) -> Vec<Operation> {
        let public = |operation: &Operation| operation.written["servers"].to_string().contains("http");
        self.all().into_iter().filter(|operation| public(operation) && !operation.is_compatibility()).collect()
    }

    /// What serves clients that were written for another server, with the app in the path.
    pub(super) fn compatibility(&self) -> Vec<Operation> {
        let of_app = |operation: &Operation| operation.path.starts_with("/apps/{appid}");
        self.all().into_iter().filter(|operation| operation.is_compatibility() && of_app(operation)).collect()
    }

    /// The one of this name.
    pub(super) fn operation(&self, id: &str) -> Operation {
        let found = self.all().into_iter().find(|operation| operation.id == id);
        found.unwrap_or_else(|| panic!("the document has no operation {id}"))
    }

    /// Fails unless each operation has its line in a table, and each line its operation.
    #[track_caller]
    pub(super) fn are_known<'a>(operations: &[Operation], table: impl Iterator<Item = &'a str>, file: &str) {
        let written = operations.iter().map(|operation| operation.id.as_str()).collect();
        let known = table.collect();
        let (new, gone) = (lacking(&written, &known), lacking(&known, &written));
        assert!(
            new.is_empty() && gone.is_empty(),
            "Nobody knows how to try {new:?}: add a line for each to tests/e2e/{file}. Remove those of {gone:?}."
        );
    }

    fn schema<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(&reference[1..]).unwrap(),
            None => schema,
        }
    }

    /// Every place in a body where a text may stand.
    fn leaves(&self, schema: &Value, at: &[String], found: &mut Vec<Vec<String>>) {
        let schema = self.schema(schema);
        for part in ["allOf", "oneOf", "anyOf"].iter().filter_map(|name| schema[*name].as_array()).flatten() {
            self.leaves(part, at, found);
        }
        let kinds = schema["type"].to_string();
        if !at.is_empty() && (kinds.contains("string") || self.schema(&schema["items"])["type"] == "string") {
            found.push(at.to_vec());
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.leaves(field, &[at, std::slice::from_ref(name)].concat(), found);
        }
    }
}

impl Operation {
    fn is_compatibility(&self) -> bool {
        self.written["tags"][0] == "compatibility"
    }

    /// Where it is for an app.
    pub(super) fn path_of(&self, appid: &str) -> String {
        self.path.replace("{appid}", appid)
    }

    fn needs_admin_key(&self) -> bool {
        self.written["security"][0].get("admin_key").is_some()
    }

    /// Whether it takes a header of this name.
    pub(super) fn takes(&self, header: &str) -> bool {
        let parameters = self.written["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|parameter| parameter["in"] == "header" && parameter["name"] == header)
    }

    /// What a key must allow.
    pub(super) fn scope(&self) -> &str {
        let (_, scope) = self.written["description"].as_str().unwrap().rsplit_once("the scope `").unwrap();
        scope.trim_end_matches("`.")
    }

    /// Every place where a text may stand.
    pub(super) fn fields(&self, document: &Document) -> Vec<(Place, Vec<String>)> {
        let mut fields = Vec::new();
        for parameter in self.written["parameters"].as_array().into_iter().flatten() {
            let place = match parameter["in"].as_str().unwrap() {
                "path" => Place::Path,
                "query" => Place::Given,
                _ => continue,
            };
            fields.push((place, vec![parameter["name"].as_str().unwrap().to_owned()]));
        }
        let mut leaves = Vec::new();
        for content in self.written["requestBody"]["content"].as_object().into_iter().flat_map(Map::values) {
            document.leaves(&content["schema"], &[], &mut leaves);
        }
        fields.extend(leaves.into_iter().map(|leaf| (Place::Given, leaf)));
        fields
    }

    /// It, with these fields.
    pub(super) fn request(&self, by: &Operator, fields: &Value) -> RequestBuilder {
        let mut fields = fields.as_object().unwrap().clone();
        let mut path = self.path.strip_prefix("/admin/v1").unwrap().to_owned();
        for name in self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
            let value = fields.remove(name).unwrap_or_else(|| panic!("{} needs {name}", self.id));
            path = path.replace(&format!("{{{name}}}"), &escaped(&plain(&value)));
        }
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes()).unwrap();
        if matches!(self.method.as_str(), "get" | "delete") {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(fields.iter().map(|(name, value)| (name, plain(value))));
            return by.request(method, &format!("{path}?{}", query.finish()));
        }
        by.request(method, &path).json(&fields)
    }

    /// Fails unless the document says that this answer may come.
    #[track_caller]
    pub(super) fn documents(&self, reply: &Reply) {
        let answer = &self.written["responses"][reply.status.to_string()];
        assert!(answer.is_object(), "{} does not document {}: {}", self.id, reply.status, reply.text);
        // What clients of old are told has the fields of their convention.
        if reply.header("content-type") == "application/json" {
            return;
        }
        let codes = &answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"];
        if let Some(codes) = codes.as_array() {
            let code = &reply.json()["code"];
            assert!(codes.contains(code), "{} does not document {} {code}", self.id, reply.status);
        }
    }
}

/// The same fields with another value in one place; a list has it alone.
pub(super) fn with(fields: &Value, at: &[String], id: &str) -> Value {
    let mut fields = fields.clone();
    let mut place = &mut fields;
    for name in at {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name.as_str()];
    }
    *place = if place.is_array() { json!([id]) } else { json!(id) };
    fields
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(segment: &str) -> String {
    url::form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}
