//! The JSON Schema of a playbook, out of the types that are read: for completion and hover in editors.
//!
//! What `check` finds by knowing the whole document, such as undefined variables, no schema can say.
//! Draft 7, because editors know that and older ones only.

use super::settings::Defaults;
use super::{Playbook, Step};
use crate::template::one_or_many;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// A playbook of sortie: what is done on each device, and on which devices.
#[derive(JsonSchema)]
#[schemars(rename = "Playbook", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "these keys leave nothing of their own in a playbook"
)]
struct Document {
    /// The version of the language.
    #[schemars(extend("const" = 1))]
    sortie: Value,
    /// What steps inherit where they say nothing themselves.
    defaults: Option<Defaults>,
    /// What is done last on every device that got a session, also after a failed step or Ctrl-C. These
    /// steps have 60 s altogether.
    #[schemars(length(min = 1))]
    always: Option<Vec<Step>>,
    #[schemars(flatten)]
    playbook: Playbook,
}

/// A step may be a block of steps.
pub(super) fn with_block(schema: &mut Schema) {
    let list = |what: &str| {
        json!({
            "description": what, "type": "array", "minItems": 1,
            "items": { "$ref": "#/definitions/Step" }
        })
    };
    let map = schema.ensure_object();
    if let Some(Value::Object(keys)) = map.get_mut("properties") {
        for (key, what) in [
            (
                "block",
                "Steps that stand together: `when`, `os`, `on_error` and `no_log` beside it hold for all of them.",
            ),
            (
                "rescue",
                "What runs when a step of the block failed; if it comes to a good end, so has the block.",
            ),
            (
                "always",
                "What runs last in the block, whatever came of the others.",
            ),
            (
                "undo",
                "The steps that take this one back. They are checked, and no run does them.",
            ),
        ] {
            keys.insert(key.into(), list(what));
        }
    }
    let map = schema.ensure_object();
    if let Some(Value::Object(keys)) = map.get_mut("properties") {
        let time = |what: &str| json!({ "description": what, "$ref": "#/definitions/Duration" });
        let steps = list("The steps that prove it. They only read.");
        let long = json!({
            "type": "object", "additionalProperties": false, "required": ["steps"],
            "properties": {
                "steps": steps,
                "hold": time("After this time they are looked at again, without keeping the session. Not built yet."),
                "recheck": time("How long after the run they should be looked at once more. Not built yet."),
            }
        });
        let mut verify = json!({ "anyOf": [steps, long] });
        verify["description"] =
            "Steps that must hold right after it: then it counts as verified, otherwise as failed."
                .into();
        keys.insert("verify".into(), verify);
    }
    if let Some(Value::Array(choice)) = map.get_mut("oneOf") {
        choice.push(json!({ "required": ["block"], "errorMessage": "the step has no action" }));
    }
    map.insert(
        "dependencies".into(),
        json!({ "rescue": ["block"], "always": ["block"] }),
    );
}

/// The schema, as `schemas/playbook.json` holds it.
pub fn schema() -> Value {
    of::<Document>()
}

/// The schema of what is read like a playbook.
pub(crate) fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        // Before the others, which move what stands beside a `$ref`.
        settings.transforms.insert(0, Box::new(as_the_readers_do));
    });
    let mut schema: Value = settings.into_generator().into_root_schema_for::<T>().into();
    // Editors show the innermost description, and what a key means says more than what its type is.
    let definitions = schema["definitions"].as_object_mut();
    for definition in definitions.into_iter().flat_map(Map::values_mut) {
        if let Some(map) = definition.as_object_mut() {
            map.remove("description");
        }
    }
    schema
}

/// The rules that `Fields` and `FromNode` apply everywhere.
fn as_the_readers_do(schema: &mut Schema) {
    transform_subschemas(&mut as_the_readers_do, schema);
    without_null(schema);
    lists_may_be_one(schema);
    defaulted_keys_may_be_missing(schema);
    scalars_are_text(schema);
    // Widths of Rust's numbers.
    schema.remove("format");
    // Where a comment of the source happens to end its lines.
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// An `Option` is a key that may be missing; a key without a value is an error.
fn without_null(schema: &mut Schema) {
    let null = |form: &Value| form.is_null() || *form == "null" || *form == json!({"type": "null"});
    for key in ["type", "anyOf", "enum"] {
        // A map without required keys may be left empty, and says so itself.
        if schema.get("properties").is_some() {
            break;
        }
        let Some(Value::Array(forms)) = schema.get_mut(key) else {
            continue;
        };
        forms.retain(|form| !null(form));
        match &mut forms[..] {
            [Value::Object(form)] => {
                let form = std::mem::take(form);
                schema.remove(key);
                schema.ensure_object().extend(form);
            }
            [form @ Value::String(_)] if key == "type" => {
                let form = form.take();
                schema.insert(key.into(), form);
            }
            _ => {}
        }
    }
}

fn lists_may_be_one(schema: &mut Schema) {
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|map| map.values_mut()) {
        // `steps`, which is always a list, has a least length.
        if property.get("minItems").is_none()
            && let Ok(property) = property.try_into()
        {
            one_or_many(property);
        }
    }
}

fn defaulted_keys_may_be_missing(schema: &mut Schema) {
    let defaulted: Vec<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, property)| property.get("default").is_some())
        .map(|(key, _)| key.clone())
        .collect();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|key| !defaulted.iter().any(|defaulted| key == defaulted));
        if required.is_empty() {
            schema.remove("required");
        }
    }
}

/// Text without a form of its own may look like a number or a truth value in YAML.
fn scalars_are_text(schema: &mut Schema) {
    let text = schema.get("type").is_some_and(|kind| kind == "string");
    let form = schema.get("pattern").or(schema.get("enum"));
    if text && form.is_none() {
        schema.insert("type".into(), json!(["string", "number", "boolean"]));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::playbook::{check::check, syntax};
    use crate::template::asked;
    use crate::text::diagnostic::{Code, Diagnostics};
    use crate::text::source::Source;
    use crate::text::yaml;
    use std::sync::Arc;

    /// Puts a value at its place in a document.
    pub(crate) type Place<'a> = &'a dyn Fn(Value) -> Value;

    /// Calls `visit` with every map of the language that has fixed keys, and its place.
    pub(crate) fn walk(
        root: &Value,
        at: &Value,
        place: Place<'_>,
        visit: &mut dyn FnMut(&Value, Place<'_>),
    ) {
        let at = resolve(root, at);
        for form in ["allOf", "anyOf"]
            .iter()
            .filter_map(|key| at[key].as_array())
        {
            // Steps that prove a step are steps.
            let steps = |form: &&Value| form["items"]["$ref"] == "#/definitions/Step";
            for form in form.iter().filter(|form| !steps(form)) {
                walk(root, form, place, visit);
            }
        }
        if at["additionalProperties"] == false {
            visit(at, place);
        }
        // Steps of a block are steps.
        let has = |key| at["properties"].get(key).is_some();
        let nested: &[&str] = match (has("block"), has("recheck")) {
            (true, _) => &["block", "rescue", "always", "undo"],
            (_, true) => &["steps"],
            _ => &[],
        };
        let properties = at["properties"].as_object().into_iter().flatten();
        for (key, property) in properties.filter(|(key, _)| !nested.contains(&key.as_str())) {
            let place = |value| place(with(filled(root, at, Some(key)), key, value));
            walk(root, property, &place, visit);
        }
        if at["additionalProperties"].is_object() {
            let place = |value| place(json!({ "any": value }));
            walk(root, &at["additionalProperties"], &place, visit);
        }
        if at["items"].is_object() {
            walk(root, &at["items"], &|value| place(json!([value])), visit);
        }
    }

    fn resolve<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
        match at["$ref"].as_str() {
            Some(path) => root.pointer(&path[1..]).expect("a definition"),
            None => at,
        }
    }

    fn list(value: &Value) -> &[Value] {
        value.as_array().map_or(&[], Vec::as_slice)
    }

    /// A map with the keys that are required by name.
    pub(crate) fn required(root: &Value, map: &Value, names: &Value) -> Value {
        let names = list(names).iter().filter_map(Value::as_str);
        names.fold(json!({}), |value, name| {
            with(value, name, sample(root, &map["properties"][name]))
        })
    }

    /// A map with what it needs beside `key`: a step an action, a deletion a guard, unless that is one.
    fn filled(root: &Value, map: &Value, key: Option<&str>) -> Value {
        let mut value = required(root, map, &map["required"]);
        let actions = match list(&map["oneOf"]) {
            [] => list(&map["anyOf"]),
            one_of => one_of,
        };
        if !actions.iter().any(|one| one["required"][0] == json!(key))
            && let Some(Value::Object(action)) = actions
                .first()
                .map(|one| required(root, map, &one["required"]))
        {
            value.as_object_mut().expect("a map").extend(action);
        }
        value
    }

    pub(crate) fn with(mut map: Value, key: &str, value: Value) -> Value {
        map[key] = value;
        map
    }

    /// A value that is in order.
    fn sample(root: &Value, at: &Value) -> Value {
        let at = resolve(root, at);
        for first in ["/examples/0", "/enum/0", "/const"] {
            if let Some(value) = at.pointer(first) {
                return value.clone();
            }
        }
        if at["properties"].is_object() {
            return filled(root, at, None);
        }
        for first in ["/allOf/0", "/anyOf/0"] {
            if let Some(form) = at.pointer(first) {
                return sample(root, form);
            }
        }
        match at["type"].as_str() {
            Some("object") => filled(root, at, None),
            Some("array") => json!([sample(root, &at["items"])]),
            Some("integer" | "number") => at["minimum"].clone(),
            Some("boolean") => json!(true),
            _ => json!("/x"),
        }
    }

    #[test]
    fn readers_and_schema_know_the_same_keys() {
        let root = schema();
        let mut seen = Vec::new();
        walk(&root, &root, &|document| document, &mut |map, place| {
            let tell = |key: &str| {
                let document = place(with(required(&root, map, &map["required"]), key, json!(1)));
                let checked = check("p.yaml", document.to_string().as_bytes());
                let codes: Vec<_> = checked.diagnostics.iter().map(|one| one.code).collect();
                (document, codes)
            };
            asked::take();
            let (document, codes) = tell("no_such_key");
            let count = codes
                .iter()
                .filter(|code| **code == Code::UnknownKey)
                .count();
            assert_eq!(count, 1, "{document}: {codes:?}");
            let asked = asked::take();
            let known: &Map<_, _> = map["properties"].as_object().expect("a map");
            for key in known.keys() {
                assert!(
                    asked.contains(&key.as_str()),
                    "nothing reads `{key}`: {document}"
                );
            }
            for key in asked.iter().filter(|key| !known.contains_key(**key)) {
                let (document, codes) = tell(key);
                assert!(
                    codes.contains(&Code::Reserved),
                    "not in the schema: {document}"
                );
            }
            seen.push(std::ptr::from_ref(map));
        });
        seen.sort();
        seen.dedup();
        let closed = root
            .to_string()
            .matches("\"additionalProperties\":false")
            .count();
        assert_eq!(seen.len(), closed, "each of them can be reached");
    }

    #[test]
    fn a_default_says_what_nothing_means() {
        let root = schema();
        let mut count = 0;
        walk(&root, &root, &|document| document, &mut |map, place| {
            for (key, property) in map["properties"].as_object().into_iter().flatten() {
                if let Some(default) = property.get("default") {
                    let without = filled(&root, map, Some(key));
                    let given = place(with(without.clone(), key, default.clone()));
                    assert_eq!(read(&given), read(&place(without)), "{given}");
                    count += 1;
                }
            }
        });
        assert!(count > 20, "{count} defaults");
    }

    /// What a document means, wherever it stands.
    fn read(document: &Value) -> String {
        let mut all = Diagnostics::new();
        let (source, node) = yaml::load("p.yaml", document.to_string().as_bytes(), &mut all);
        let node = node.expect("is YAML");
        let playbook = syntax::playbook(&Arc::new(source), &node, &mut all);
        assert!(!all.has_errors(), "{document}: {all:?}");
        let playbook = Playbook {
            source: Arc::new(Source::new("", "")),
            ..playbook.expect("nothing was wrong")
        };
        let text = format!("{playbook:?}");
        let spans = text.split("Span {");
        spans
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
            .collect()
    }
}
