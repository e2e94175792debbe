//! What the types of a playbook's parts cannot say of themselves in a JSON Schema.
//!
//! Each wrapper is named in `#[schemars(with = "…")]`; none is ever made. What holds for every list
//! and every text of the language alike is not here but in `playbook::schema`.

use super::field::Choice;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::marker::PhantomData;

/// One of the words of a [`Choice`].
#[derive(Debug)]
pub struct Word<T>(PhantomData<T>);

/// A map whose keys the author chose, and templates use as names.
#[derive(Debug)]
pub struct Named<T>(PhantomData<T>);

/// A name that templates use.
#[derive(Debug)]
pub struct Identifier;

impl<T: Choice> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        std::any::type_name::<Self>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = T::CHOICES.iter().map(|(word, _)| *word).collect();
        // Nobody writes these in quotes.
        if words == ["true", "false"] {
            return json_schema!({ "type": "boolean" });
        }
        json_schema!({ "type": "string", "enum": words })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": Identifier::json_schema(generator),
            "additionalProperties": generator.subschema_for::<T>()
        })
    }
}

impl JsonSchema for Identifier {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Identifier".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_]*$" })
    }
}

/// The schema of a map for which the value of `first` may stand: `get_file: /etc/passwd`.
pub fn short_form(first: &'static str) -> impl Fn(&mut Schema) {
    move |schema| {
        let mut map = std::mem::take(schema.ensure_object());
        let mut short: Schema = map["properties"][first]
            .clone()
            .try_into()
            .unwrap_or_default();
        one_or_many(&mut short);
        // Editors would show these instead of what the key says.
        map.remove("description");
        short.remove("description");
        *schema = json_schema!({ "anyOf": [map, short] });
    }
}

/// Lets one item stand for a list of one, as the reader of a list does.
pub fn one_or_many(schema: &mut Schema) {
    let list = schema.get("type").is_some_and(|kind| kind == "array");
    let Some(item) = schema.get("items").cloned().filter(|_| list) else {
        return;
    };
    let Some(map) = schema.as_object_mut() else {
        return;
    };
    map.remove("type");
    map.remove("items");
    let forms = serde_json::json!([item, { "type": "array", "items": item }]);
    map.insert("anyOf".into(), forms);
}
