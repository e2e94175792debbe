//! Lists of what should have come: all of it, or `contains:` some of it.

use crate::template::{Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::source::Span;
use crate::text::yaml::{Key, Node};

#[derive(Debug)]
pub(super) struct Wished<T> {
    pub(super) span: Span,
    pub(super) items: Vec<T>,
    pub(super) extent: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// These and no others.
    All,
    /// These, whatever else there is.
    Contains,
}

impl<T: FromNode> FromNode for Wished<T> {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let span = node.span;
        if node.scalar() == Some("none") {
            let (items, extent) = (Vec::new(), Extent::All);
            return Some(Self {
                span,
                items,
                extent,
            });
        }
        if node.get("contains").is_none() {
            let (items, extent) = (Vec::from_node(node, all)?, Extent::All);
            return Some(Self {
                span,
                items,
                extent,
            });
        }
        let mut fields = Fields::new(node, "the list", all);
        let items: Option<Vec<T>> = fields.required("contains");
        fields.finish();
        let items = items?;
        if items.is_empty() {
            all.error(
                Code::BadValue,
                span,
                "everything contains nothing: this could not fail",
            )
            .help("to expect that there is none, write []");
        }
        Some(Self {
            span,
            items,
            extent: Extent::Contains,
        })
    }
}

/// Something that holds on every device, or on the one that is named.
#[derive(Debug)]
pub(super) struct On<T> {
    pub(super) device: Option<Key>,
    pub(super) what: T,
}
