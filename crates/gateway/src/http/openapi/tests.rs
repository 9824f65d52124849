use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn written() -> Value {
    serde_json::to_value(document("https://login.example.com")).unwrap()
}

/// Every value under this key, wherever it stands.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[test]
fn every_route_of_both_listeners_stands_in_the_document_and_nothing_else_does() {
    let document = written();
    let written: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let served = routes::public().into_iter().chain(routes::admin());
    let served: BTreeSet<_> = served.map(|endpoint| endpoint.path().to_owned()).collect();
    assert_eq!(written, served);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_sentence() {
    let document = written();
    let (mut ids, mut sentences) = (Vec::new(), Vec::new());
    all(&document["paths"], "operationId", &mut ids);
    all(&document["paths"], "summary", &mut sentences);
    let unique: BTreeSet<_> = ids.iter().map(ToString::to_string).collect();
    assert_eq!((unique.len(), sentences.len()), (ids.len(), ids.len()), "{ids:?}");
    assert!(sentences.iter().all(|sentence| sentence.as_str().unwrap().ends_with('.')), "{sentences:?}");
}

#[test]
fn every_schema_that_is_spoken_of_is_there() {
    let document = written();
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_field_of_a_path_is_a_parameter_and_the_reverse() {
    for (path, item) in written()["paths"].as_object().unwrap() {
        let fields: BTreeSet<_> =
            path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect();
        for operation in item.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let named = parameters.filter(|parameter| parameter["in"] == "path");
            let named: BTreeSet<_> = named.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert_eq!(named, fields, "{path}");
        }
    }
}

#[test]
fn an_operation_is_written_from_its_type() {
    let document = written();
    let change = &document["paths"]["/admin/v1/tenants/{tenant}"]["patch"];
    assert_eq!(change["security"], serde_json::json!([{"admin_key": []}]));
    let body = change["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    let fields = &document.pointer(&body[1..]).unwrap()["properties"];
    assert!(fields["name"].is_object() && fields["tenant"].is_null(), "what stands in the path is not in the body");
    let list = &document["paths"]["/admin/v1/tenants"]["get"]["parameters"];
    let limit = list.as_array().unwrap().iter().find(|parameter| parameter["name"] == "limit").unwrap();
    assert_eq!((&limit["in"], &limit["schema"]["maximum"]), (&"query".into(), &500.into()));
    let codes = &change["responses"]["412"]["content"]["application/problem+json"]["schema"]["allOf"][1];
    assert_eq!(codes["properties"]["code"]["enum"], serde_json::json!(["PRECONDITION_FAILED"]));
}
