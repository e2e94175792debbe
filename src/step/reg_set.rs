//! Sets a registry value, after the old one is in the bag.
//!
//! A value that is there already and differs is left alone, and the step fails, unless
//! `overwrite: true`. `data` is one text or number, or a list for `REG_MULTI_SZ`; `REG_BINARY` takes
//! hexadecimal digits.
//!
//! ```yaml
//! name: Protect the credentials
//! reg_set:
//!   key: 'HKLM\SYSTEM\CurrentControlSet\Control\Lsa'
//!   value: RunAsPPL
//!   type: REG_DWORD
//!   data: 1
//! ```

use super::guard::Waiver;
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Choice, Fields, Template, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "reg_set",
    summary: "set a registry value",
    permissions: &[Permission::Write],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg query value", "reg set value"],
    results: &[],
    source: include_str!("reg_set.rs"),
    built: Built::NotYet,
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
    /// What data of this type must be, if this text is not that.
    fn expects(self, text: &str) -> Option<&'static str> {
        let number = || match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        let (fits, expected) = match self {
            Self::Text | Self::Expandable | Self::Lines => return None,
            Self::Dword => (
                number().is_some_and(|number| u32::try_from(number).is_ok()),
                "a whole number of 32 bits, such as 1 or 0x1f",
            ),
            Self::Qword => (
                number().is_some(),
                "a whole number of 64 bits, such as 1 or 0x1f",
            ),
            Self::Binary => (
                text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "pairs of hexadecimal digits, such as 00ff",
            ),
        };
        (!fits).then_some(expected)
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
        Arguments::costing(2, 0)
            .with("key", [&self.key])
            .with("value", [&self.value])
            .with("data", &self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::DataType::{Binary, Dword, Qword, Text};

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
