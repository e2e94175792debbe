//! What an EDR server keeps: sessions for days after their end, and what it was told of sensors.

use super::actions::Action;
use super::device::SensorRecord;
use super::session::{Session, Status};
use super::view::{Kept, SessionView};
use super::world::{Missing, Refusal, World};
use std::time::Duration;
use tokio::time::Instant;

impl World {
    /// All of which anything is kept, those that ended among them, oldest first.
    pub(super) fn kept_sessions(&self) -> Vec<SessionView> {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        let kept = org.sessions.values();
        kept.map(|s| org.shown(s.device).session(s)).collect()
    }

    /// A session with all its commands and files, also if it has ended.
    pub(super) fn kept(&self, number: u64) -> Option<Kept> {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        let session = org.sessions.get(&number)?;
        let shown = org.shown(session.device);
        let commands = 0..session.commands.len() as u64;
        Some(Kept {
            session: shown.session(session),
            commands: commands
                .filter_map(|n| shown.command(session, n).ok())
                .collect(),
            files: session.store.files().to_vec(),
        })
    }

    /// The whole id of a session that is known by its number.
    pub(super) fn full_id(&self, number: u64) -> Option<String> {
        self.lock().sessions.get(&number).map(Session::id)
    }

    /// Closes a session, which may have expired and is still kept; as it was before.
    pub(super) fn close_kept(&self, number: u64) -> Option<SessionView> {
        let now = Instant::now();
        let mut org = self.lock();
        org.advance_all(now);
        let session = org.sessions.get(&number);
        let session = session.filter(|session| session.status != Status::Closed)?;
        let before = org.shown(session.device).session(session);
        org.close(number, now);
        Some(before)
    }

    /// Asks a sensor no longer for what it has not heard of yet.
    pub(super) fn take_back(&self, sensor: u64, action: &Action) {
        let mut org = self.lock();
        org.advance_all(Instant::now());
        org.actions.take_back(sensor, action);
    }

    /// Changes what is written down of a sensor; `elapsed` is since the world began.
    pub(super) fn write_down<T>(
        &self,
        sensor: u64,
        write: impl FnOnce(&mut SensorRecord, Duration) -> T,
    ) -> Result<T, Refusal> {
        let now = Instant::now();
        let mut org = self.lock();
        org.advance_all(now);
        let elapsed = org.elapsed(now);
        let device = org.devices.get_mut(&sensor);
        let device = device.ok_or(Refusal::NotFound(Missing::Device(sensor)))?;
        Ok(write(&mut device.record, elapsed))
    }
}
