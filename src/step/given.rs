//! Arguments that name something, which an empty text would not.

use crate::template::{Fields, Scope, Template, TemplateError};
use crate::text::diagnostic::Code;
use serde_json::Value;

/// Complains about a path that is written down and leads nowhere.
pub(super) fn names_something(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    path: Option<&Template>,
) {
    let written = path.and_then(|path| Some((path.span(), path.as_literal()?)));
    if let Some((span, "")) = written {
        let message = format!("`{key}` is empty");
        fields
            .diagnostics()
            .error(Code::BadValue, span, message)
            .help("name a path on the endpoint, or remove it");
    }
}

/// A path that leads somewhere.
pub(super) fn filled(path: &Template, scope: &Scope) -> Result<String, TemplateError> {
    let rendered = path.render(scope)?;
    if rendered.is_empty() {
        let message = "the path is empty";
        return Err(TemplateError::new(Code::BadValue, path.span(), message));
    }
    Ok(rendered)
}

/// A text, or the elements of a list where the text is one expression that gives it.
pub(super) fn elements(template: &Template, scope: &Scope) -> Result<Vec<String>, TemplateError> {
    if template.is_one_expression()
        && let Value::Array(items) = template.json(scope)?
    {
        return Ok(items.iter().map(text_of).collect());
    }
    template.render(scope).map(|text| vec![text])
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A directory as it is made: without a separator at its end, unless it is a root.
pub(super) fn trimmed(path: &str) -> &str {
    let name = path.trim_end_matches(['/', '\\']);
    if name.is_empty() || name.ends_with(':') {
        path
    } else {
        name
    }
}
