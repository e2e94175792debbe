//! A map whose greater part is shared: thousands of devices stand on one image and keep only what differs.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Layered<K, V> {
    base: Arc<BTreeMap<K, V>>,
    /// `None` hides what the base holds.
    over: BTreeMap<K, Option<V>>,
}

impl<K: Ord + Clone, V> Layered<K, V> {
    pub fn on(base: Arc<BTreeMap<K, V>>) -> Self {
        Self {
            base,
            over: BTreeMap::new(),
        }
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.over.get(key) {
            Some(own) => own.as_ref(),
            None => self.base.get(key),
        }
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.over.insert(key, Some(value));
    }

    pub fn remove(&mut self, key: &K) {
        if self.base.contains_key(key) {
            self.over.insert(key.clone(), None);
        } else {
            self.over.remove(key);
        }
    }

    /// Everything there is: first what is shared, then what is its own.
    pub fn all(&self) -> impl Iterator<Item = (&K, &V)> {
        let shared = self.base.iter();
        let shared = shared.filter(|(key, _)| !self.over.contains_key(key));
        let own = self.over.iter();
        shared.chain(own.filter_map(|(key, own)| Some((key, own.as_ref()?))))
    }

    #[cfg(test)]
    pub(crate) fn shares_base_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.base, &other.base)
    }

    #[cfg(test)]
    pub(crate) fn own(&self) -> usize {
        self.over.len()
    }

    /// Everything from `first` on, in order, for as long as `belongs` says so.
    pub fn from<'a>(&'a self, first: &K, belongs: impl Fn(&K) -> bool) -> Vec<(&'a K, &'a V)> {
        let range = (Bound::Included(first), Bound::Unbounded);
        let mut merged: BTreeMap<&K, &V> = self
            .base
            .range::<K, _>(range)
            .take_while(|(key, _)| belongs(key))
            .collect();
        for (key, own) in self
            .over
            .range::<K, _>(range)
            .take_while(|(key, _)| belongs(key))
        {
            match own {
                Some(value) => merged.insert(key, value),
                None => merged.remove(key),
            };
        }
        merged.into_iter().collect()
    }
}

impl<K: Ord + Clone, V: Clone> Layered<K, V> {
    /// Makes everything the base of whoever clones it from now on.
    pub fn share(&mut self) {
        let mut base = BTreeMap::clone(&self.base);
        for (key, own) in std::mem::take(&mut self.over) {
            match own {
                Some(value) => base.insert(key, value),
                None => base.remove(&key),
            };
        }
        self.base = Arc::new(base);
    }
}

impl<K: Ord + Clone, V> Default for Layered<K, V> {
    fn default() -> Self {
        Self::on(Arc::default())
    }
}

/// Where something stands in a tree: its folder and its name, both folded for comparing.
///
/// Ordered by folder first, so that a folder's children are neighbours and a listing touches nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub parent: Box<str>,
    pub name: Box<str>,
}

impl<V> Layered<Place, V> {
    pub fn children(&self, parent: &str) -> Vec<&V> {
        let first = Place {
            parent: parent.into(),
            name: "".into(),
        };
        self.from(&first, |place| *place.parent == *parent)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stay_with_their_owner() {
        let base = Arc::new(BTreeMap::from([(1, "one"), (2, "two"), (3, "three")]));
        let mut mine: Layered<u32, &str> = Layered::on(Arc::clone(&base));
        mine.remove(&2);
        mine.insert(3, "drei");
        mine.insert(4, "vier");
        let seen: Vec<_> = mine
            .from(&0, |k| *k < 9)
            .into_iter()
            .map(|(_, v)| *v)
            .collect();
        assert_eq!(seen, ["one", "drei", "vier"]);
        let all: Vec<_> = mine.all().map(|(_, v)| *v).collect();
        assert_eq!(all, ["one", "drei", "vier"]);
        assert_eq!((mine.get(&2), mine.get(&1)), (None, Some(&"one")));
        let other: Layered<u32, &str> = Layered::on(base);
        assert_eq!(other.get(&2), Some(&"two"));
    }
}
