//! Bans a program by its hash, for the whole organisation; it happens once for each run, not for each
//! device.
//!
//! Files that are signed or seen on many devices are refused, unless `unguarded: true`.
//!
//! ```yaml
//! name: The dropper everywhere
//! ban_hash:
//!   sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!   text: dropper of case 4711
//! ```

use super::guard::{Guarded, Md5, Sha256, any_of};
use super::{Arguments, Built, Spec};
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::template::{Field, Fields, Template, Word};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};

pub(super) const SPEC: Spec = Spec {
    key: "ban_hash",
    summary: "ban a program by its hash, everywhere",
    permissions: &[Permission::Policy],
    effect: Effect::Converge,
    os: &Os::NAMED,
    commands: &[],
    results: &[],
    source: include_str!("ban_hash.rs"),
    built: Built::NotYet,
    schema: SchemaGenerator::subschema_for::<BanHash>,
};

/// Which program to ban.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [{"required": ["sha256"]}, {"required": ["md5"]}])
)]
pub struct BanHash {
    /// Its hash, where the backend knows files by MD5.
    pub md5: Option<Field<Md5>>,
    /// Its hash, where the backend knows files by SHA-256.
    pub sha256: Option<Field<Sha256>>,
    /// Why, for the console.
    pub text: Option<Template>,
    /// `true` bans signed and prevalent files too.
    #[schemars(with = "Word<Guarded>", extend("default" = false))]
    pub unguarded: Guarded,
}

impl BanHash {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Self {
        let mut fields = Fields::new(node, SPEC.key, all);
        let step = Self {
            md5: fields.optional("md5"),
            sha256: fields.optional("sha256"),
            text: fields.optional("text"),
            unguarded: fields.or("unguarded", Guarded::Yes),
        };
        any_of(
            &mut fields,
            SPEC.key,
            &["sha256", "md5"],
            "give the hash of the program that is to be banned",
        );
        fields.finish();
        step
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let md5 = self.md5.iter().flat_map(Field::references);
        let sha256 = self.sha256.iter().flat_map(Field::references);
        Arguments {
            others: md5.chain(sha256).collect(),
            ..Arguments::default().with("text", &self.text)
        }
    }
}
