//! One entry of `console:`: somebody who works at the device in the vendor's console.

use super::super::console::{Comes, Leaves, Visit};
use crate::template::{Bounded, Fields, FromNode};
use crate::text::diagnostic::{Code, Diagnostics};
use crate::text::duration::Duration;
use crate::text::yaml::Node;

#[derive(Debug)]
pub(super) struct VisitItem(Visit);

impl FromNode for VisitItem {
    fn from_node(node: &Node, all: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::new(node, "the visit", all);
        let after: Option<Duration> = fields.optional("after");
        let joins: Option<Duration> = fields.optional("joins_after");
        let stays: Duration = fields.or("stays", Duration::from_secs(600));
        let commands: Option<Bounded<0, 250>> = fields.optional("commands");
        let closes = fields.or("closes", false);
        let comes = match (after, joins) {
            (Some(_), Some(_)) => {
                let span = fields.key_span("joins_after");
                let message = "somebody comes `after` the beginning, or joins a session, not both";
                fields.diagnostics().error(Code::BadValue, span, message);
                return None;
            }
            (_, Some(delay)) => Comes::Joining(delay.get()),
            (after, None) => Comes::After(after.unwrap_or(Duration::ZERO).get()),
        };
        fields.finish();
        Some(Self(Visit {
            comes,
            stays: stays.get(),
            commands: commands.map_or(0, Bounded::get),
            leaves: if closes {
                Leaves::SessionClosed
            } else {
                Leaves::SessionOpen
            },
        }))
    }
}

impl VisitItem {
    pub(super) fn visit(&self) -> Visit {
        self.0.clone()
    }
}
