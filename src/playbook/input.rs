//! What a playbook asks of whoever runs it: typed values by name.

use crate::secret::{MAX_BYTES, MIN_CHARS, Secret, Secrets, mark};
use crate::template::{Choice, Fields, FromNode, FromText, Word};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::text::source::Span;
use crate::text::words::{List, suggest};
use crate::text::yaml::Node;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One declared input; its name is the key that it is declared under.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Input {
    #[schemars(skip)]
    pub name: String,
    #[schemars(skip)]
    pub span: Span,
    /// What kind of value it takes.
    #[schemars(rename = "type", with = "Word<InputType>", extend("default" = "string"))]
    pub kind: InputType,
    /// What to give, for whoever runs the playbook.
    pub description: Option<String>,
    /// The value when nobody gives one.
    pub default: Option<Value>,
    /// Whether the run is refused without a value.
    #[schemars(extend("default" = false))]
    pub required: bool,
    /// The only values it takes; any value of the type unless given.
    #[schemars(extend("default" = []))]
    pub choices: Vec<String>,
    /// A regular expression that the whole value, or each element of a list, has to match.
    #[schemars(with = "Option<String>")]
    pub pattern: Option<Pattern>,
    /// Whether nobody may see the value: it goes to the endpoint and is kept out of everything that is
    /// shown or written. Text only.
    #[schemars(extend("default" = false))]
    pub secret: bool,
}

/// A regular expression for a whole text. It takes no more than linear time.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

/// Bytes that a compiled pattern may take.
const MAX_PATTERN: usize = 1 << 20;

impl FromText for Pattern {
    fn expected() -> String {
        "a regular expression".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let build = |text: &str| RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
        // By itself first: the message then speaks of what the author wrote.
        build(text)
            .and_then(|_| build(&format!("^(?:{text})$")))
            .map(|regex| Self {
                text: text.to_owned(),
                regex,
            })
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "this regular expression is too large".to_owned()
                }
                _ => format!("expected {}", Self::expected()),
            })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputType {
    String,
    Int,
    Bool,
    Duration,
    Size,
    Path,
    List,
}

impl Choice for InputType {
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("string", Self::String),
        ("int", Self::Int),
        ("bool", Self::Bool),
        ("duration", Self::Duration),
        ("size", Self::Size),
        ("path", Self::Path),
        ("list", Self::List),
    ];
}

impl InputType {
    /// A value as a command line gives it; commas part the elements of a list.
    fn parse(self, text: &str) -> Result<Value, String> {
        fn checked<T: FromText>(text: &str) -> Result<T, String> {
            T::from_text(text)
        }
        Ok(match self {
            Self::String | Self::Path => text.into(),
            Self::Int => checked::<i64>(text)?.into(),
            Self::Bool => checked::<bool>(text)?.into(),
            Self::Duration => checked::<Duration>(text).map(|_| text.into())?,
            Self::Size => checked::<Size>(text).map(|_| text.into())?,
            Self::List => text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect(),
        })
    }
}

impl FromNode for Input {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "input", all);
        let kind = fields.or("type", InputType::String);
        let description = fields.optional("description");
        let required = fields.or("required", false);
        let choices: Vec<String> = fields.or("choices", Vec::new());
        let pattern = fields.optional("pattern");
        let default = fields.take("default");
        let default_span = fields.key_span("default");
        let secret = fields.or("secret", false);
        if secret {
            fits_a_secret(&mut fields, kind);
        }
        fields.finish();
        let mut input = Self {
            name: String::new(),
            span: node.span,
            kind,
            description,
            default: None,
            required,
            choices,
            pattern,
            secret,
        };
        if required && default.is_some() {
            all.error(
                Code::BadValue,
                default_span,
                "a required input has no use for a default",
            )
            .help("remove `required` or `default`");
        }
        if let Some(node) = default.filter(|_| !secret) {
            match input.of_node(node) {
                Ok(value) => input.default = Some(value),
                // It is declared all the same, and whoever refers to it is not to blame.
                Err(why) => {
                    all.error(Code::BadValue, node.span, why)
                        .maybe_help(yes_or_no(node));
                }
            }
        }
        Some(input)
    }
}

/// A secret is text that stands nowhere, and so not in a playbook.
fn fits_a_secret(fields: &mut Fields<'_, '_>, kind: InputType) {
    if kind != InputType::String {
        let span = fields.key_span("type");
        fields
            .diagnostics()
            .error(Code::Secret, span, "a secret is text")
            .help("remove `type` or `secret`");
    }
    for key in ["default", "choices"] {
        if fields.has(key) {
            let span = fields.key_span(key);
            let message =
                format!("a secret has no `{key}`: everybody who reads the playbook would know it");
            fields
                .diagnostics()
                .error(Code::Secret, span, message)
                .help(format!(
                    "remove `{key}`; the value is given when the playbook runs"
                ));
        }
    }
}

/// Other readers of YAML take these for booleans.
fn yes_or_no(node: &Node) -> Option<String> {
    let text = node.scalar()?;
    let meant = match text.to_ascii_lowercase().as_str() {
        "yes" | "on" => true,
        "no" | "off" => false,
        _ => return None,
    };
    Some(format!("`{text}` is compared as text here: write {meant}"))
}

impl Input {
    fn of_node(&self, node: &Node) -> Result<Value, String> {
        let value = match (node.as_list(), node.scalar()) {
            (Some(items), _) if self.kind == InputType::List => items
                .iter()
                .map(|item| {
                    item.scalar()
                        .map(Value::from)
                        .ok_or_else(|| format!("expected text, found {}", item.describe()))
                })
                .collect::<Result<_, _>>()?,
            (None, Some(text)) => self.kind.parse(text)?,
            _ => {
                return Err(format!(
                    "expected a value of type {}, found {}",
                    self.word(),
                    node.describe()
                ));
            }
        };
        self.allow(value)
    }

    /// A value that an expression gave: plain ones are taken by their text.
    fn of_value(&self, value: &Value) -> Result<Value, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
            other => Err(format!(
                "expected a value of type {}, found {}",
                self.word(),
                match other {
                    Value::Null => "nothing",
                    Value::Array(_) => "a list",
                    _ => "a map",
                }
            )),
        };
        match value {
            Value::Array(items) if self.kind == InputType::List => {
                let items: Result<Vec<_>, _> = items.iter().map(text).collect();
                Ok(items?.into())
            }
            // One element may be a text with a comma in it, so nothing is parted here.
            _ if self.kind == InputType::List => Ok(vec![text(value)?].into()),
            _ => self.kind.parse(&text(value)?),
        }
    }

    /// Whether it takes what stands in a file.
    pub(super) fn takes(&self, node: &Node) -> Result<(), String> {
        self.of_node(node).map(drop)
    }

    fn word(&self) -> &'static str {
        InputType::CHOICES
            .iter()
            .find(|(_, kind)| *kind == self.kind)
            .map_or("string", |(word, _)| word)
    }

    fn allow(&self, value: Value) -> Result<Value, String> {
        self.matches(&value)?;
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if self.choices.is_empty() || self.choices.contains(&text) {
            return Ok(value);
        }
        Err(format!(
            "expected {}, found `{text}`",
            List::or(&self.choices)
        ))
    }

    fn matches(&self, value: &Value) -> Result<(), String> {
        let Some(pattern) = &self.pattern else {
            return Ok(());
        };
        if let Value::Array(items) = value {
            return items.iter().try_for_each(|item| self.matches(item));
        }
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        if pattern.regex.is_match(&text) {
            return Ok(());
        }
        Err(format!(
            "expected text that matches {} as a whole, found `{text}`",
            pattern.text
        ))
    }

    fn given(&self, given: &Given) -> Result<Value, String> {
        if self.secret {
            return self.concealed(given);
        }
        let value = match given {
            Given::Text(text) => self.kind.parse(text).map_err(|why| {
                if why.contains("found") {
                    why
                } else {
                    format!("{why}, found `{text}`")
                }
            })?,
            Given::Node(node) => return self.of_node(node),
            Given::Value(value) => self.of_value(value)?,
        };
        self.allow(value)
    }
}

impl Input {
    /// A secret's value, and no word of it in what is wrong with it.
    fn concealed(&self, given: &Given) -> Result<Value, String> {
        let text = match given {
            Given::Text(text) => text.as_str(),
            Given::Node(node) => node.scalar().ok_or("expected text")?,
            Given::Value(value) => value.as_str().ok_or("expected text")?,
        };
        if text.chars().count() < MIN_CHARS {
            return Err(format!(
                "a secret has at least {MIN_CHARS} characters: a shorter one could not be kept out of the evidence without destroying that"
            ));
        }
        if text.len() > MAX_BYTES {
            return Err(format!("a secret has at most {MAX_BYTES} bytes"));
        }
        let value = Value::from(text);
        self.matches(&value)
            .map_err(|_| "it does not match the input's `pattern`".to_owned())?;
        Ok(value)
    }

    /// How to give it a value.
    fn way(&self) -> String {
        let name = &self.name;
        if self.secret {
            let variable = name.to_ascii_uppercase();
            format!("SORTIE_INPUT_{variable}, or in a file with --inputs")
        } else {
            format!("-e {name}=VALUE")
        }
    }
}

/// Takes the values of secrets out of the inputs, and leaves marks in their places.
pub fn take_secrets(declared: &[Input], inputs: &mut Map<String, Value>) -> Secrets {
    let mut taken = Vec::new();
    for input in declared.iter().filter(|input| input.secret) {
        if let Some(Value::String(text)) = inputs.get_mut(&input.name) {
            let text = std::mem::replace(text, mark(&input.name));
            taken.push((input.name.clone(), Secret::new(text)));
        }
    }
    Secrets::new(taken)
}

/// A value as somebody gave it.
#[derive(Clone, PartialEq)]
pub enum Given {
    /// On a command line.
    Text(String),
    /// In a file.
    Node(Node),
    /// As an expression gave it.
    Value(Value),
}

/// Why the given inputs do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    #[error("the playbook has no input `{name}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown { name: String, near: Option<String> },
    #[error("the playbook needs the input `{name}`{}: give it with {way}", description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Missing {
        name: String,
        way: String,
        description: Option<String>,
    },
    #[error("input `{name}`: {why}")]
    Value { name: String, why: String },
}

impl InputError {
    /// The input that it is about.
    pub fn name(&self) -> &str {
        let (Self::Unknown { name, .. } | Self::Missing { name, .. } | Self::Value { name, .. }) =
            self;
        name
    }
}

/// Every declared input with its value, or all that is wrong with those given.
pub fn resolve(
    declared: &[Input],
    given: &BTreeMap<String, Given>,
) -> Result<Map<String, Value>, Vec<InputError>> {
    let mut errors = Vec::new();
    for name in given.keys() {
        if !declared.iter().any(|input| input.name == *name) {
            let near =
                suggest(name, declared.iter().map(|input| input.name.as_str())).map(str::to_owned);
            errors.push(InputError::Unknown {
                name: name.clone(),
                near,
            });
        }
    }
    let mut values = Map::new();
    for input in declared {
        let name = input.name.clone();
        match given.get(&name).map(|given| input.given(given)) {
            Some(Ok(value)) => {
                values.insert(name, value);
            }
            Some(Err(why)) => errors.push(InputError::Value { name, why }),
            None if input.required => {
                errors.push(InputError::Missing {
                    name,
                    way: input.way(),
                    description: input.description.clone(),
                });
            }
            None => {
                values.insert(name, input.default.clone().unwrap_or(Value::Null));
            }
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}
