//! Faults at the engine's own port: those of the organisation, and delays. What only HTTP can do wrong has no
//! meaning there, and whoever offers such a scenario is told ([`super::Faults::only_over_http`]).

use super::{Event, Fate, What};
use crate::sim::world::World;

/// Lets happen what is to go wrong with a call; says what the world's own call is to meet with.
pub(in crate::sim) async fn struck(world: &World, event: &Event) -> Fate {
    let Some(fault) = world.judge().strike(event) else {
        return Fate::Usual;
    };
    world.note(|books| books.fault(fault.what.word()));
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    match (&fault.what, &event.session) {
        (What::Fate(fate), _) => *fate,
        (What::Lose, Some(session)) => {
            world.lose(session);
            Fate::Usual
        }
        _ => Fate::Usual,
    }
}
