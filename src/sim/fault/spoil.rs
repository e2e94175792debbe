//! Answers that are right and look odd: what other versions of the service were seen to send.
//!
//! Odd is not wrong: nothing is taken away that a client could not do without.

use crate::template::Choice;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Oddity {
    LowerCase,
    UpperCase,
    MixedCase,
    SignedCodes,
    TextCodes,
    HexCodes,
    TextIds,
    TextBooleans,
    ExtraMembers,
    MissingMembers,
    NullArrays,
    MissingArrays,
    ErrorMessage,
}

impl Choice for Oddity {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("lower_case", Self::LowerCase),
        ("upper_case", Self::UpperCase),
        ("mixed_case", Self::MixedCase),
        ("signed_codes", Self::SignedCodes),
        ("text_codes", Self::TextCodes),
        ("hex_codes", Self::HexCodes),
        ("text_ids", Self::TextIds),
        ("text_booleans", Self::TextBooleans),
        ("extra_members", Self::ExtraMembers),
        ("missing_members", Self::MissingMembers),
        ("null_arrays", Self::NullArrays),
        ("missing_arrays", Self::MissingArrays),
        ("error_message", Self::ErrorMessage),
    ];
}

/// Members that the contract lets a service leave out.
const OPTIONAL: [&str; 18] = [
    "address",
    "alternate_name",
    "create_time",
    "current_command_index",
    "device_check_in_time",
    "finish_time",
    "hostname",
    "input",
    "last_access_time",
    "os_version",
    "parent_create_time",
    "process_create_time",
    "result_desc",
    "result_type",
    "sid",
    "site_id",
    "size_uploaded",
    "upload_url",
];

/// The same body, odd; what is not JSON stays as it is.
pub(super) fn spoil(body: &[u8], oddities: &[Oddity]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else {
        return body.to_vec();
    };
    for oddity in oddities {
        match (oddity, &mut value) {
            (Oddity::ErrorMessage, Value::Object(map)) => {
                map.insert("errorMessage".into(), json!("something went wrong"));
            }
            (Oddity::ErrorMessage, _) => {}
            _ => every_map(&mut value, &|map| oddity.apply(map)),
        }
    }
    value.to_string().into_bytes()
}

fn every_map(value: &mut Value, act: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|inner| every_map(inner, act));
            act(map);
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| every_map(inner, act)),
        _ => {}
    }
}

impl Oddity {
    fn apply(self, map: &mut Map<String, Value>) {
        let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        match self {
            Self::LowerCase => status(map, str::to_lowercase),
            Self::UpperCase => status(map, str::to_uppercase),
            Self::MixedCase => status(map, mixed),
            Self::SignedCodes => code(map, |code| json!(code.cast_signed())),
            Self::TextCodes => code(map, |code| json!(code.to_string())),
            Self::HexCodes => code(map, |code| json!(format!("0x{code:08X}"))),
            Self::TextIds => {
                for (key, value) in map.iter_mut() {
                    if value.is_number() && (key == "id" || key.ends_with("_id")) {
                        *value = json!(value.to_string());
                    }
                }
            }
            Self::TextBooleans => {
                for value in map.values_mut().filter(|value| value.is_boolean()) {
                    *value = json!(value.to_string());
                }
            }
            Self::ExtraMembers => {
                map.insert(
                    "a_later_version".into(),
                    json!({"of": ["the", "API", 2, null]}),
                );
            }
            Self::MissingMembers => map.retain(|key, _| !OPTIONAL.contains(&key.as_str())),
            Self::NullArrays => {
                for value in map.values_mut().filter(|value| empty(value)) {
                    *value = Value::Null;
                }
            }
            Self::MissingArrays => map.retain(|_, value| !empty(value)),
            Self::ErrorMessage => {}
        }
    }
}

fn status(map: &mut Map<String, Value>, change: impl Fn(&str) -> String) {
    if let Some(Value::String(word)) = map.get_mut("status") {
        *word = change(word);
    }
}

/// The first letter of each word large, which some services and most fixtures have.
fn mixed(word: &str) -> String {
    let mut out = word.to_lowercase();
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    out
}

fn code(map: &mut Map<String, Value>, change: impl Fn(u32) -> Value) {
    let code = map.get("result_code").and_then(Value::as_u64);
    if let Some(code) = code.and_then(|code| u32::try_from(code).ok()) {
        map.insert("result_code".into(), change(code));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_oddity_is_the_one_that_it_is_called() {
        let body = json!({
            "id": 3, "device_id": 7, "status": "IN PROGRESS", "result_code": 2_147_942_402_u32, "wait": true,
            "result_desc": "", "files": [], "processes": [{"process_pid": 4, "sid": "S-1-5-18"}],
        });
        let table = [
            (Oddity::LowerCase, "/status", json!("in progress")),
            (Oddity::UpperCase, "/status", json!("IN PROGRESS")),
            (Oddity::MixedCase, "/status", json!("In progress")),
            (Oddity::SignedCodes, "/result_code", json!(-2_147_024_894)),
            (Oddity::TextCodes, "/result_code", json!("2147942402")),
            (Oddity::HexCodes, "/result_code", json!("0x80070002")),
            (Oddity::TextIds, "/device_id", json!("7")),
            (Oddity::TextBooleans, "/wait", json!("true")),
            (
                Oddity::ExtraMembers,
                "/processes/0/a_later_version/of/3",
                Value::Null,
            ),
            (Oddity::NullArrays, "/files", Value::Null),
            (
                Oddity::ErrorMessage,
                "/errorMessage",
                json!("something went wrong"),
            ),
        ];
        let odd = |oddity| -> Value {
            serde_json::from_slice(&spoil(body.to_string().as_bytes(), &[oddity])).expect("is JSON")
        };
        for (oddity, at, expected) in table {
            assert_eq!(odd(oddity).pointer(at), Some(&expected), "{oddity:?}");
        }
        let missing = odd(Oddity::MissingMembers);
        assert_eq!(
            (
                missing.get("result_desc"),
                missing.pointer("/processes/0/sid")
            ),
            (None, None)
        );
        assert_eq!(missing["processes"][0]["process_pid"], 4);
        assert_eq!(odd(Oddity::MissingArrays).get("files"), None);
        assert_eq!(spoil(b"not JSON", &[Oddity::LowerCase]), b"not JSON");
    }
}
