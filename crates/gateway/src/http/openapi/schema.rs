//! The schemas that the document names.

use std::collections::BTreeMap;

use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};

use super::answers::reference;

/// Schemas by name.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds a type with all that it is made of; returns how to speak of it.
    pub(super) fn add<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.add_parts::<T>();
        // The name of a generic type does not say of what it is, so it has no entry of its own.
        let generic = std::any::type_name::<T>().split_once('<').is_some_and(|(_, of)| !of.starts_with('\''));
        if generic {
            return T::schema();
        }
        self.0.insert(T::name().into_owned(), T::schema());
        reference(&T::name())
    }

    /// Adds what a type is made of, without itself.
    pub(super) fn add_parts<T: ToSchema>(&mut self) {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        self.0.extend(parts);
    }

    /// Adds one under a name; returns how to speak of it.
    pub(super) fn add_as(&mut self, name: &str, schema: Object) -> RefOr<Schema> {
        self.0.insert(name.to_owned(), RefOr::T(Schema::Object(schema)));
        reference(name)
    }

    /// Adds all of another set.
    pub(super) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The fields of an object: its own, and those of objects that stand flat in it.
    pub(super) fn object(&self, schema: RefOr<Schema>) -> Object {
        match schema {
            RefOr::T(Schema::Object(object)) => object,
            RefOr::T(Schema::AllOf(all)) => all.items.into_iter().fold(Object::new(), |mut whole, part| {
                let part = self.object(part);
                whole.properties.extend(part.properties);
                whole.required.extend(part.required);
                whole
            }),
            RefOr::Ref(named) => {
                let name = named.ref_location.rsplit('/').next().unwrap_or_default();
                self.0.get(name).cloned().map_or_else(Object::new, |schema| self.object(schema))
            }
            RefOr::T(_) => Object::new(),
        }
    }
}

impl IntoIterator for Schemas {
    type Item = (String, RefOr<Schema>);
    type IntoIter = std::collections::btree_map::IntoIter<String, RefOr<Schema>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The same, where there is no null: what is left out of an address is left out.
pub(super) fn present(schema: RefOr<Schema>) -> RefOr<Schema> {
    match schema {
        RefOr::T(Schema::Object(mut object)) => {
            if let SchemaType::Array(types) = object.schema_type {
                let mut types: Vec<_> = types.into_iter().filter(|of| *of != Type::Null).collect();
                object.schema_type = match (types.pop(), types.is_empty()) {
                    (Some(only), true) => SchemaType::Type(only),
                    (last, _) => types.into_iter().chain(last).collect(),
                };
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::OneOf(mut one)) => {
            one.items.retain(|item| !is_null(item));
            match (one.items.len(), one.items.pop()) {
                (1, Some(only)) => only,
                (_, last) => {
                    one.items.extend(last);
                    RefOr::T(Schema::OneOf(one))
                }
            }
        }
        other => other,
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
