//! Deletes a registry key, after its values are in the bag.
//!
//! A key with sub keys is left alone, and the step fails, unless `recursive: true`, which needs
//! `unguarded: true`: then up to 10,000 keys and values go, of which first all are in the bag. Reading the
//! key again proves that it is gone.
//!
//! ```yaml
//! name: The implant's own key
//! reg_delete_key:
//!   key: 'HKLM\SOFTWARE\Implant'
//!   recursive: true
//!   unguarded: true
//! ```

use super::cx::{StepCx, Stop};
use super::guard::{Absent, Guarded, Waiver, gone, recursive};
use super::registry::{self, Key};
use super::{Arguments, Built, ResultField, Shape, Spec, there};
use crate::model::command::Command;
use crate::model::device::Os;
use crate::model::effect::{Effect, Permission};
use crate::model::outcome::{Cause, NOT_FOUND};
use crate::template::{Fields, Template, Word, short_form};
use crate::text::diagnostic::Diagnostics;
use crate::text::yaml::Node;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

pub(super) const SPEC: Spec = Spec {
    key: "reg_delete_key",
    summary: "delete a registry key",
    permissions: &[Permission::Delete],
    effect: Effect::Converge,
    os: &[Os::Windows],
    commands: &["reg enum key", "reg delete key"],
    results: &[ResultField::new(
        "found",
        Shape::Flag,
        "whether there was anything to delete",
    )],
    source: include_str!("reg_delete_key.rs"),
    built: Built::Yes,
    schema: SchemaGenerator::subschema_for::<RegDeleteKey>,
};

/// Which key to delete.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
pub struct RegDeleteKey {
    /// The key, such as `HKLM\SOFTWARE\Implant`.
    pub key: Template,
    /// Whether its sub keys go with it; needs `unguarded`.
    #[schemars(extend("default" = false))]
    pub recursive: bool,
    /// `true` is needed for `recursive`, because no guard covers what lies below.
    #[schemars(with = "Word<Guarded>", extend("default" = false))]
    pub unguarded: Guarded,
    /// What a key that is gone already means for the step.
    #[schemars(with = "Word<Absent>", extend("default" = "ok"))]
    pub if_missing: Absent,
    /// Its values are kept first, unless this says why not.
    pub evidence: Option<Waiver>,
}

impl RegDeleteKey {
    pub(super) fn read(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::with_short_form(node, SPEC.key, "key", all);
        let key = fields.required("key");
        let whole_tree = fields.or("recursive", false);
        let unguarded = fields.or("unguarded", Guarded::Yes);
        let if_missing = fields.or("if_missing", Absent::Ok);
        let evidence = fields.optional("evidence");
        recursive(&mut fields, whole_tree, unguarded);
        fields.finish();
        Some(Self {
            key: key?,
            recursive: whole_tree,
            unguarded,
            if_missing,
            evidence,
        })
    }

    pub(super) fn arguments(&self) -> Arguments<'_> {
        let mut arguments = Arguments::costing(3, 0).with("key", [&self.key]);
        arguments.cost.open_ended = self.recursive;
        arguments
    }

    pub(super) async fn run(&self, cx: &mut StepCx<'_>) -> Result<Value, Stop> {
        let root = registry::key(&self.key, cx.scope)?;
        let is_done = there::has_run(cx, "reg delete key", &root);
        let Some(found) = registry::enumerate(cx, &root).await? else {
            return gone(self.if_missing, is_done, &root);
        };
        if !found.sub_keys.is_empty() && !self.recursive {
            let what = root.into();
            return Err(Cause::NeedsRecursive { what }.into());
        }
        let keys = self.whole_tree(cx, &root, found).await?;
        // What is below a key goes before it.
        for path in keys.into_iter().rev() {
            match (cx
                .hands
                .command(Command::RegDeleteKey { path }, SPEC.effect))
            .await
            {
                Err(cause) if cause.is_endpoint_code(&NOT_FOUND) => {}
                other => drop(other?),
            }
        }
        if registry::enumerate(cx, &root).await?.is_some() {
            let what = root.into();
            return Err(Cause::StillThere { what }.into());
        }
        Ok(json!({"found": true}))
    }

    /// A key and all that are below it, each before those below; their values are kept.
    async fn whole_tree(
        &self,
        cx: &mut StepCx<'_>,
        root: &str,
        found: Key,
    ) -> Result<Vec<String>, Cause> {
        let mut keys = vec![root.to_owned()];
        let mut found = Some(found);
        let (mut at, mut values) = (0, 0);
        while let Some(path) = keys.get(at).cloned() {
            at += 1;
            let key = match found.take() {
                Some(key) => key,
                // It has gone by itself.
                None => match registry::enumerate(cx, &path).await? {
                    Some(key) => key,
                    None => continue,
                },
            };
            for value in &key.values {
                let row = registry::kept(SPEC.key, &path, value, self.evidence.as_ref());
                cx.rows.push(row);
            }
            values += key.values.len();
            let below = key.sub_keys.iter().map(|name| registry::path(&path, name));
            keys.extend(below);
            if keys.len() + values > MOST {
                return Err(Cause::TooMany { limit: MOST as u64 });
            }
        }
        Ok(keys)
    }
}

/// More than anybody deletes on purpose.
const MOST: usize = 10_000;
