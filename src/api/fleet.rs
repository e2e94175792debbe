//! An organisation's devices in Carbon Black Cloud.

use super::dialect::SessionStatus;
use super::dialect::cloud_v6::{CloudV6, LARGEST_PAGE, Wanted, answer, device};
use super::dialect::refusal::{self, Asked};
use super::learn::Learned;
use super::pace::{Pace, Repeat, Tempo, lock};
use super::session::LiveSession;
use super::transport::Transport;
use super::watch::Watch;
use crate::live::{Answer, Backend, DeviceQuery, Fleet, Ours, Session};
use crate::model::device::{Device, Os};
use crate::model::id::{DeviceId, SessionId};
use crate::model::outcome::Cause;
use crate::model::spent::Spent;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// Ids in one search; the body stays small, and the answer far from the largest page.
const IDS_AT_ONCE: usize = 1_000;

/// The port over HTTP.
pub struct ApiFleet {
    backend: Backend,
    shared: Arc<Shared>,
}

/// What all sessions of a fleet have in common.
pub(super) struct Shared {
    pub(super) api: CloudV6,
    pub(super) pace: Pace,
    pub(super) watch: Watch,
    pub(super) learned: Learned,
    pub(super) tempo: Tempo,
    /// Sessions that we opened: getting one of them again does not make it somebody else's.
    opened: Mutex<HashSet<SessionId>>,
}

impl ApiFleet {
    /// Over any transport; [`connect`](super::connect) takes the network's.
    pub fn over(transport: Arc<dyn Transport>, backend: Backend, tempo: Tempo) -> Self {
        let shared = Shared {
            api: CloudV6::new(&backend.organisation),
            pace: Pace::new(transport, tempo),
            watch: Watch::new(tempo.first_watch),
            learned: Learned::new(tempo.first_look),
            tempo,
            opened: Mutex::default(),
        };
        Self {
            backend,
            shared: Arc::new(shared),
        }
    }

    async fn search(&self, wanted: Wanted<'_>) -> Result<Vec<Device>, Cause> {
        let Shared { api, pace, .. } = &*self.shared;
        let first = pace
            .send(api.search(wanted), Repeat::Always, device::page)
            .await
            .result?;
        if first.found <= first.devices.len() as u64 {
            return Ok(first.devices);
        }
        // A search ends at the largest page; a scroll has no end, and begins anew.
        let mut devices = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let request = api.scroll(wanted, after.as_deref());
            let page = pace
                .send(request, Repeat::Always, device::page)
                .await
                .result?;
            let is_last = page.devices.is_empty();
            devices.extend(page.devices);
            if is_last || devices.len() as u64 >= page.found {
                return Ok(devices);
            }
            if page.after.is_none() || page.after == after {
                return Err(Cause::BadAnswer {
                    detail: format!("{} of {} devices, and no way on", devices.len(), page.found),
                });
            }
            after = page.after;
        }
    }

    async fn open(&self, device: &Device, ours: &Ours) -> Result<Box<dyn Session>, Cause> {
        let Shared { api, pace, .. } = &*self.shared;
        if pace.is_struggling() {
            return Err(Cause::RetryBudgetSpent);
        }
        let read = |response: &_| answer::session(response, Asked::Open);
        let sent = pace.send(api.open(device.id), Repeat::Always, read).await;
        let view = sent.result?;
        if view.status == SessionStatus::Over {
            return Err(Cause::SessionLost);
        }
        let mut opened = lock(&self.shared.opened);
        // Active at once means that it was there; unless an earlier try of ours had opened it unseen.
        let was_there = view.status == SessionStatus::Active && !sent.is_doubted;
        let is_known = opened.contains(&view.id) || ours.sessions.contains(&view.id);
        // Whoever opened it while we were asking, and had nothing to say in it, was us.
        let is_asked_for = view.commands_so_far == 0
            && matches!((ours.asked, view.created), (Some(asked), Some(created)) if asked <= created);
        let is_joined = (was_there || view.commands_so_far > 0) && !is_known && !is_asked_for;
        if !is_joined {
            opened.insert(view.id.clone());
        }
        drop(opened);
        let shared = Arc::clone(&self.shared);
        Ok(Box::new(LiveSession::new(
            shared, view, device.os, is_joined,
        )))
    }
}

impl Fleet for ApiFleet {
    fn backend(&self) -> Backend {
        self.backend.clone()
    }

    fn window(&self) -> usize {
        self.shared.tempo.window
    }

    fn find(&self, query: DeviceQuery) -> Answer<'_, Vec<Device>> {
        Box::pin(async move {
            let mut found: BTreeMap<DeviceId, Device> = BTreeMap::new();
            for ids in query.ids.chunks(IDS_AT_ONCE) {
                let devices = self.search(Wanted::Ids(ids)).await?;
                found.extend(devices.into_iter().map(|device| (device.id, device)));
            }
            if let Some(families) = &query.all_of {
                let families: &[Os] = families;
                let devices = self.search(Wanted::Families(families)).await?;
                found.extend(devices.into_iter().map(|device| (device.id, device)));
            }
            Ok(found.into_values().collect())
        })
    }

    fn request<'a>(&'a self, device: &'a Device, ours: &'a Ours) -> Answer<'a, Box<dyn Session>> {
        Box::pin(self.open(device, ours))
    }

    fn dismiss<'a>(&'a self, session: &'a SessionId) -> Answer<'a, ()> {
        Box::pin(async move {
            let Shared { api, pace, .. } = &*self.shared;
            let read = |response: &_| refusal::check(response, Asked::Session);
            let sent = pace.send(api.close(session), Repeat::Always, read).await;
            match sent.result {
                Err(Cause::SessionLost) => Ok(()),
                result => result,
            }
        })
    }

    fn spent(&self) -> Spent {
        self.shared.pace.spent()
    }

    fn is_struggling(&self) -> bool {
        self.shared.pace.is_struggling()
    }
}

const _: () = assert!(IDS_AT_ONCE <= LARGEST_PAGE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::scripted::{FREE, Scripted, backend, count, ok, status};
    use crate::model::device::sample;
    use serde_json::json;
    use std::time::Duration;

    fn devices(ids: std::ops::Range<u64>) -> serde_json::Value {
        ids.map(|id| json!({"id": id, "name": format!("h{id}"), "os": "LINUX"}))
            .collect()
    }

    fn all() -> DeviceQuery {
        DeviceQuery {
            ids: Vec::new(),
            all_of: Some(Vec::new()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_devices_are_scrolled_and_come_once_each() {
        let mut pages = 0;
        let (transport, log) = Scripted::new(move |what, _| {
            if what.ends_with("_search") {
                return ok(&json!({"results": devices(0..3), "num_found": 7}));
            }
            pages += 1;
            // The fleet changes while it is read: one device comes twice, one never.
            ok(&match pages {
                1 => json!({"results": devices(0..3), "num_found": 7, "search_after": "a"}),
                2 => json!({"results": devices(2..5), "num_found": 7, "search_after": "b"}),
                _ => json!({"results": [], "num_found": 7, "search_after": "c"}),
            })
        });
        let fleet = ApiFleet::over(transport, backend(), FREE);
        let found = fleet.find(all()).await.expect("finds");
        let ids: Vec<_> = found.iter().map(|device| device.id.0).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4]);
        assert_eq!(count(&log, "POST /devices/_scroll"), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scroll_that_leads_nowhere_is_an_error_and_not_a_smaller_fleet() {
        for after in [json!(null), json!("same")] {
            let (transport, log) = Scripted::new(move |_, _| {
                ok(&json!({"results": devices(0..2), "num_found": 90, "search_after": after}))
            });
            let fleet = ApiFleet::over(transport, backend(), FREE);
            let found = fleet.find(all()).await;
            assert!(matches!(found, Err(Cause::BadAnswer { .. })), "{found:?}");
            assert!(log.lock().expect("no panic").len() <= 3);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ids_are_asked_in_parts_and_nothing_asks_for_nothing() {
        let (transport, log) =
            Scripted::new(|_, _| ok(&json!({"results": devices(1..2), "num_found": 1})));
        let fleet = ApiFleet::over(transport, backend(), FREE);
        let none = fleet.find(DeviceQuery::default()).await.expect("finds");
        assert!(none.is_empty() && log.lock().expect("no panic").is_empty());
        let query = DeviceQuery {
            ids: (0..2_500).map(DeviceId).collect(),
            all_of: None,
        };
        assert_eq!(fleet.find(query).await.expect("finds").len(), 1);
        assert_eq!(count(&log, "POST /devices/_search"), 3);
    }

    /// What a backend answers to opening, try by try.
    fn joined_after(answers: &'static [(u16, &'static str, u64)]) -> impl Future<Output = bool> {
        let mut next = answers.iter();
        let (transport, _) = Scripted::new(move |_, _| match next.next() {
            Some((200, word, index)) => {
                ok(&json!({"id": "1:5", "status": word, "current_command_index": index}))
            }
            Some((0, ..)) => Err(Cause::NoAnswer { seconds: 60 }),
            Some((code, ..)) => status(*code),
            None => panic!("asked too often"),
        });
        async move {
            let fleet = ApiFleet::over(transport, backend(), FREE);
            let session = fleet
                .request(&sample(5, "h", Os::Linux), &Ours::default())
                .await;
            session.expect("opens").is_joined()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_was_there_is_not_ours() {
        assert!(!joined_after(&[(200, "PENDING", 0)]).await);
        assert!(joined_after(&[(200, "ACTIVE", 0)]).await);
        assert!(joined_after(&[(200, "PENDING", 3)]).await);
        // Our first try may have opened it; one that was refused has not.
        assert!(!joined_after(&[(0, "", 0), (200, "ACTIVE", 0)]).await);
        assert!(joined_after(&[(429, "", 0), (200, "ACTIVE", 0)]).await);
        assert!(joined_after(&[(0, "", 0), (200, "ACTIVE", 2)]).await);
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_session_stays_ours() {
        let mut word = "PENDING";
        let (transport, _) = Scripted::new(move |_, _| {
            let answer = ok(&json!({"id": "1:5", "status": word, "current_command_index": 0}));
            word = "ACTIVE";
            answer
        });
        let fleet = ApiFleet::over(transport, backend(), FREE);
        for _ in 0..2 {
            let session = fleet
                .request(&sample(5, "h", Os::Linux), &Ours::default())
                .await;
            assert!(!session.expect("opens").is_joined());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_list_serves_all_who_wait() {
        let (transport, log) = Scripted::new(|what, at| {
            let word = |id: u64| {
                let active = at > Duration::from_secs(30 + id / 10);
                if active { "ACTIVE" } else { "PENDING" }
            };
            let view =
                |id: u64| json!({"id": format!("1:{id}"), "status": word(id), "drives": ["/"]});
            match what {
                "GET /sessions" => ok(&(0..100).map(view).collect()),
                "POST /sessions" => panic!("sessions are given by number here"),
                other => panic!("{other}"),
            }
        });
        let fleet = ApiFleet::over(transport, backend(), FREE);
        let deadline = tokio::time::Instant::now() + Duration::from_mins(6);
        let waiting = (0..100).map(|id: u64| {
            let view = super::super::dialect::SessionView {
                id: SessionId(format!("1:{id}")),
                status: SessionStatus::Waiting,
                commands_so_far: 0,
                created: None,
                idle_limit: None,
                facts: crate::model::command::SessionFacts::default(),
            };
            let shared = Arc::clone(&fleet.shared);
            let mut session = LiveSession::new(shared, view, Os::Linux, false);
            async move { session.ready(deadline).await }
        });
        for facts in futures_util::future::join_all(waiting).await {
            assert_eq!(facts.expect("checks in").drives, ["/".into()]);
        }
        // 40 s at 2 to 5 s each, for a hundred sessions.
        let lists = count(&log, "GET /sessions");
        assert!((8..=14).contains(&lists), "{lists}");
    }
}
