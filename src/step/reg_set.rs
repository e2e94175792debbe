//! Sets a registry value, after the old one is in the bag.
//!
//! A value that is there already and differs is left alone, and the step fails, unless
//! `overwrite: true`; one that is equal already is as good. `data` is one text or number, or a list for
//! `REG_MULTI_SZ`; `REG_BINARY` takes hexadecimal digits. The key has to be there. Reading the value again
//! proves that it is set.
//!
//! ```yaml
//! name: Protect the credentials
//! reg_set:
//!   key: 'HKLM\SYSTEM\CurrentControlSet\Control\Lsa'
//!   value: RunAsPPL
//!   type: REG_DWORD
//!   data: 1
//! ```

use super::cx::{StepCx, Stop};
use super::given::elements;
use super::guard::Waiver;
use super::{Arguments, Built, ResultField, Shape, Spec, reg_query, registry, there};
use crate::model::command::{Command, RegistryValue};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::template::{Choice, Fields, Scope, Template, TemplateError, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "reg_set",
    summary: "set a registry value",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg query value", "reg set value"],
    results: &[ResultField::new(
        "changed",
        Shape::Flag,
        "whether it was another value before, or none",
    )],
    source: include_str!("reg_set.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegSet>,
};

/// Which value to set, and to what.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegSet {
    /// The key that has the value.
    pub key: Template,
    /// The value's name.
    pub value: Template,
    /// The type of its data.
    #[schemars(rename = "type", with = "Word<DataType>", extend("default" = "REG_SZ"))]
    pub data_type: DataType,
    /// What it is set to; a list for `REG_MULTI_SZ` only.
    pub data: Vec<Template>,
    /// Whether a value that is there already and differs is replaced.
    #[schemars(extend("default" = false))]
    pub overwrite: bool,
    /// The old value is kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

/// A registry type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    Text,
    Expandable,
    Lines,
    Dword,
    Qword,
    Binary,
}

impl Choice for DataType {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("REG_SZ", Self::Text),
        ("REG_EXPAND_SZ", Self::Expandable),
        ("REG_MULTI_SZ", Self::Lines),
        ("REG_DWORD", Self::Dword),
        ("REG_QWORD", Self::Qword),
        ("REG_BINARY", Self::Binary),
    ];
}

impl DataType {
    fn name(self) -> &'static str {
        let named = Self::CHOICES.iter().find(|(_, kind)| *kind == self);
        named.map_or("", |(name, _)| name)
    }

    /// What data of this type must be, if this text is not that.
    fn expects(self, text: &str) -> Option<&'static str> {
        let (fits, expected) = match self {
            Self::Text | Self::Expandable | Self::Lines => return None,
            Self::Dword => (
                number(text).is_some_and(|number| u32::try_from(number).is_ok()),
                "a whole number of 32 bits, such as 1 or 0x1f",
            ),
            Self::Qword => (
                number(text).is_some(),
                "a whole number of 64 bits, such as 1 or 0x1f",
            ),
            Self::Binary => (
                text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "pairs of hexadecimal digits, such as 00ff",
            ),
        };
        (!fits).then_some(expected)
    }

    /// A text as the API has it: numbers are decimal.
    fn plain(self, text: String) -> String {
        match self {
            Self::Dword | Self::Qword => number(&text).map_or(text, |number| number.to_string()),
            _ => text,
        }
    }

    /// Whether what a sensor reports is this. Several texts come as one, with commas between them.
    fn is(self, data: &[String], found: &RegistryValue) -> bool {
        let reported = found.data.raw();
        let is_same = match self {
            Self::Text | Self::Expandable => reported == data.concat(),
            Self::Lines => reported == data.join(","),
            Self::Dword | Self::Qword => number(reported) == number(&data.concat()),
            Self::Binary => {
                let digits = reported.chars().filter(char::is_ascii_hexdigit);
                digits
                    .collect::<String>()
                    .eq_ignore_ascii_case(&data.concat())
            }
        };
        is_same && found.kind.eq_ignore_ascii_case(self.name())
    }
}

/// Decimal, or hexadecimal digits after `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

impl RegSet {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, SPEC.key, all);
        let key = fields.required("key");
        let value = fields.required("value");
        let data_type = fields.or("type", DataType::Text);
        let data: Option<Vec<Template>> = fields.required("data");
        let overwrite = fields.or("overwrite", false);
        let evidence = fields.optional("evidence");
        let span = fields.key_span("data");
        let given = data.as_deref().unwrap_or_default();
        if given.len() != 1 && data.is_some() && data_type != DataType::Lines {
            fields
                .diagnostics()
                .error(Code::BadValue, span, "only REG_MULTI_SZ takes a list")
                .help("write type: REG_MULTI_SZ, or one value");
        }
        for one in given.iter().filter(|one| one.is_literal()) {
            if let Some(expected) = data_type.expects(one.text()) {
                let message = format!("data: expected {expected}, found `{}`", one.text());
                fields
                    .diagnostics()
                    .error(Code::BadValue, one.span(), message);
            }
        }
        fields.finish();
        Some(Self {
            key: key?,
            value: value?,
            data_type,
            data: data?,
            overwrite,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        Arguments::costing(3, 0)
            .with("key", [&self.key])
            .with("value", [&self.value])
            .with("data", &self.data)
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let key = registry::key(&self.key, cx.scope)?;
        let path = registry::path(&key, &self.value.render(cx.scope)?);
        let data = self.data(cx.scope)?;
        let is_done = there::has_run(cx, "reg set value", &path);
        let old = registry::query(cx, &path).await?;
        match &old {
            Some(old) if self.data_type.is(&data, old) => {
                cx.rows.push(reg_query::row_of(&key, old));
                return Ok(json!({ "changed": is_done }));
            }
            Some(_) if !self.overwrite => {
                let what = path.into();
                return Err(Cause::InTheWay { what }.into());
            }
            Some(old) => {
                let row = registry::kept(SPEC.key, &key, old, self.evidence.as_ref());
                cx.rows.push(row);
            }
            None => {}
        }
        let set = Command::RegSetValue {
            path: path.clone(),
            kind: self.data_type.name().to_owned(),
            data: data.clone(),
            overwrite: old.is_some(),
        };
        match cx.hands.command(set, SPEC.effect).await {
            Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {
                let what = key.into();
                return Err(Cause::Missing { what }.into());
            }
            other => drop(other?),
        }
        match registry::query(cx, &path).await? {
            Some(new) if self.data_type.is(&data, &new) => {
                cx.rows.push(reg_query::row_of(&key, &new));
                Ok(json!({"changed": true}))
            }
            Some(new) => {
                let found = format!("{} {}", new.kind, new.data.raw()).into();
                let what = path.into();
                Err(Cause::Differs { what, found }.into())
            }
            None => Err(Cause::Missing { what: path.into() }.into()),
        }
    }

    /// What it is set to, as it is sent.
    fn data(&self, scope: &Scope) -> Result<Vec<String>, TemplateError> {
        let mut data = Vec::new();
        for template in &self.data {
            let wrong = |why: String| TemplateError::new(Code::BadValue, template.span(), why);
            let texts = match self.data_type {
                DataType::Lines => elements(template, scope)?,
                _ => vec![template.render(scope)?],
            };
            for text in texts {
                if let Some(expected) = self.data_type.expects(&text) {
                    return Err(wrong(format!("data: expected {expected}, found `{text}`")));
                }
                data.push(self.data_type.plain(text));
            }
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::{Binary, Dword, Lines, Qword, Text};

    #[test]
    fn what_a_sensor_reports_is_compared_by_its_meaning() {
        let table = [
            (Text, &["a"][..], "REG_SZ", "a", true),
            (Text, &["a"], "REG_SZ", "A", false),
            (Text, &["a"], "REG_EXPAND_SZ", "a", false),
            (Dword, &["31"], "REG_DWORD", "31", true),
            (Dword, &["31"], "REG_DWORD", "0x1f", true),
            (Dword, &["31"], "REG_DWORD", "32", false),
            (Binary, &["00fF"], "REG_BINARY", "00 FF", true),
            (Binary, &["00fF"], "REG_BINARY", "00", false),
            (Lines, &["a", "b"], "REG_MULTI_SZ", "a,b", true),
            (Lines, &["a", "b"], "REG_MULTI_SZ", "a", false),
        ];
        for (kind, data, reported, text, expected) in table {
            let data: Vec<String> = data.iter().map(ToString::to_string).collect();
            let found = RegistryValue {
                name: "x".into(),
                kind: reported.into(),
                data: text.into(),
            };
            assert_eq!(kind.is(&data, &found), expected, "{kind:?} {text}");
        }
    }

    #[test]
    fn data_fits_its_type() {
        let table = [
            (Text, "anything", true),
            (Dword, "4294967295", true),
            (Dword, "4294967296", false),
            (Dword, "0xff", true),
            (Dword, "on", false),
            (Qword, "4294967296", true),
            (Qword, "-1", false),
            (Binary, "00fF", true),
            (Binary, "00f", false),
            (Binary, "0x00", false),
        ];
        for (kind, text, fits) in table {
            assert_eq!(kind.expects(text).is_none(), fits, "{kind:?} {text}");
        }
    }
}
