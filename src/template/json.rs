//! Between templates and the rest of the program, values are JSON.

use super::data::Data;
use super::error::TemplateError;
use super::expr::Expr;
use super::scope::Scope;
use super::text::Template;
use super::to_value;
use crate::text::diagnostic::Code;
use serde_json::{Map, Value as Json};

impl Template {
    /// The value as JSON; a template that is one expression keeps its type.
    pub fn json(&self, scope: &Scope) -> Result<Json, TemplateError> {
        let value = self.evaluate(scope)?;
        serde_json::to_value(&value)
            .map_err(|_| TemplateError::new(Code::BadValue, self.span(), "the value is not data"))
    }
}

impl Data {
    /// The whole as JSON.
    pub fn json(&self, scope: &Scope) -> Result<Json, TemplateError> {
        Ok(serde_json::to_value(self.evaluate(scope)?).unwrap_or(Json::Null))
    }
}

impl Expr {
    /// The elements of a list, as JSON.
    pub fn list(&self, scope: &Scope) -> Result<Vec<Json>, TemplateError> {
        let value = self.value(scope)?;
        match serde_json::to_value(&value) {
            Ok(Json::Array(items)) => Ok(items),
            _ => Err(self.error(
                Code::BadValue,
                format!("expected a list, found {}", value.kind()),
            )),
        }
    }
}

impl Scope {
    /// Gives a name a value that came as JSON.
    pub fn set_json(&mut self, name: &str, value: &Json) {
        self.set(name, to_value(value));
    }

    /// Adds fields to a map that has a name already.
    pub fn extend_json(&mut self, name: &str, fields: &Map<String, Json>) {
        let before = self
            .get(name)
            .and_then(|value| serde_json::to_value(value).ok());
        let mut whole = match before {
            Some(Json::Object(whole)) => whole,
            _ => Map::new(),
        };
        whole.extend(fields.clone());
        self.set_json(name, &Json::Object(whole));
    }

    /// A scope in which the fields of a row stand bare.
    #[must_use]
    pub fn with_row(&self, row: &Json) -> Self {
        let mut scope = self.clone();
        for (name, value) in row.as_object().into_iter().flatten() {
            scope.set_json(name, value);
        }
        scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_below_a_name_are_added() {
        let mut scope = Scope::new();
        scope.set_json("vars", &json!({"a": 1}));
        scope.extend_json("vars", json!({"b": [2]}).as_object().unwrap());
        assert_eq!(
            serde_json::to_value(scope.get("vars")).unwrap(),
            json!({"a": 1, "b": [2]})
        );
    }
}
