//! Lets an isolated device back onto the network. Takes what `isolate` takes.
//!
//! ```yaml
//! name: Back on the network
//! release: {reason: cleaned, wait: 10m}
//! ```

use super::isolate::Isolation;
use super::{Built, ResultField, Shape, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use schemars::SchemaGenerator;

pub(super) const SPEC: Spec = Spec {
    key: "release",
    summary: "let the device back onto the network",
    permissions: &[Permission::Isolate],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &[],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether it is proven",
    )],
    source: include_str!("release.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<Isolation>,
};
