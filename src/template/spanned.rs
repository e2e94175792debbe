//! A value with its place, for whoever finds out later that something is wrong with it.

use super::fields::FromNode;
use crate::text::diagnostic::Diagnostics;
use crate::text::source::Span;
use crate::text::yaml::Node;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T: FromNode> FromNode for Spanned<T> {
    fn from_node(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        T::from_node(node, diagnostics).map(|value| Self {
            value,
            span: node.span,
        })
    }
}
