//! What a template can see: names and values.
//!
//! Values are plain data, also those that an endpoint said; nothing in a scope is ever a template.

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names in layers. A clone is one more reference; a change is seen by the changed scope alone.
#[derive(Debug, Clone, Default)]
pub struct Scope(Arc<Layer>);

#[derive(Debug, Default)]
struct Layer {
    names: BTreeMap<String, Value>,
    below: Option<Scope>,
}

impl Scope {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or hides a name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        if Arc::get_mut(&mut self.0).is_none() {
            // Somebody else sees this layer: leave it to them and go on above it.
            self.0 = Arc::new(Layer {
                names: BTreeMap::new(),
                below: Some(self.clone()),
            });
        }
        let layer = Arc::get_mut(&mut self.0).expect("the layer is new or nobody else has it");
        layer.names.insert(name.into(), value.into());
    }

    /// The same scope with one name more, such as `item` for one round of a loop.
    #[must_use]
    pub fn with(&self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let mut scope = self.clone();
        scope.set(name, value);
        scope
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.0.names.get(name) {
                return Some(value);
            }
            scope = scope.0.below.as_ref()?;
        }
    }

    pub(super) fn value(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.0))
    }
}

impl Object for Layer {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Scope(Arc::clone(self)).get(key).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Scope {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(iter: I) -> Self {
        let mut scope = Self::new();
        for (name, value) in iter {
            scope.set(name, value);
        }
        scope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_do_not_see_each_other() {
        let mut base = Scope::from_iter([("a", 1), ("b", 2)]);
        let item = base.with("a", 10);
        base.set("c", 3);
        assert_eq!(item.get("a"), Some(&Value::from(10)));
        assert_eq!(item.get("b"), Some(&Value::from(2)));
        assert_eq!(item.get("c"), None);
        assert_eq!(base.get("a"), Some(&Value::from(1)));
        assert_eq!(base.get("c"), Some(&Value::from(3)));
    }
}
