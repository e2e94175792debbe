//! A YAML value with templates in it: `vars`, `set`, `with`, a list for `for_each`.

use super::compile::Reference;
use super::error::TemplateError;
use super::fields::FromNode;
use super::scope::Scope;
use super::text::Template;
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::{Node, NodeKind};
use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// Scalars keep the type that YAML gives them; text may be a template. Keys are plain text.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Template),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Data {
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Null => Value::from(()),
            Self::Bool(value) => Value::from(*value),
            Self::Int(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Text(template) => template.evaluate(scope)?,
            Self::List(items) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|item| item.evaluate(scope)).collect();
                Value::from(items?)
            }
            Self::Map(entries) => {
                let entries: Result<Vec<_>, _> = entries
                    .iter()
                    .map(|(key, item)| Ok((key.as_str(), item.evaluate(scope)?)))
                    .collect();
                Value::from_pairs(entries?)
            }
        })
    }

    /// All templates within, in the order of the file.
    pub fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => Vec::new(),
            Self::Text(template) => vec![template],
            Self::List(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Map(entries) => entries
                .iter()
                .flat_map(|(_, item)| item.templates())
                .collect(),
        }
    }

    /// All that it refers to, with places.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.templates().into_iter().flat_map(Template::references)
    }
}

impl FromNode for Data {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(match &node.kind {
            NodeKind::Null => Self::Null,
            NodeKind::Bool(value) => Self::Bool(*value),
            NodeKind::Int(value) => Self::Int(*value),
            NodeKind::Float(value) => Self::Float(*value),
            NodeKind::Text(_) => Self::Text(Template::from_scalar(node, diagnostics)?),
            NodeKind::List(_) => Self::List(Vec::from_node(node, diagnostics)?),
            NodeKind::Map(entries) => {
                let read: Vec<_> = entries
                    .iter()
                    .map(|(key, node)| {
                        Some((key.text.clone(), Self::from_node(node, diagnostics)?))
                    })
                    .collect();
                Self::Map(read.into_iter().collect::<Option<_>>()?)
            }
        })
    }
}

impl JsonSchema for Data {
    fn schema_name() -> Cow<'static, str> {
        "Data".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Any value; text in it may contain {{ }}." })
    }
}
