//! What is asked of sensors happens when they next report, and never to those that do not.

use super::*;
use crate::sim::actions::Action;

fn ask(world: &World, body: &Value) -> u16 {
    post(world, "device_actions", body).0
}

fn device(world: &World, id: u64) -> Value {
    get(world, &format!("devices/{id}")).1
}

#[tokio::test(start_paused = true)]
async fn isolation_follows_the_next_report() {
    let world = World::new(vec![
        windows(1),
        windows(2).offline(),
        windows(3).away(SECOND * 300),
    ]);
    let body = json!({"action_type": "QUARANTINE", "device_id": [1, "2", 3, 99], "options": {"toggle": "ON"}});
    let before = device(&world, 1);
    assert_eq!(ask(&world, &body), 204);
    assert_eq!(device(&world, 1), before, "nothing has happened yet");
    assert_eq!(done(&world, 1), []);
    advance(SECOND * 61).await;
    let after = device(&world, 1);
    assert_eq!(after["quarantined"], json!(true));
    assert!(after["last_contact_time"].as_str() > before["last_contact_time"].as_str());
    assert_eq!(done(&world, 1), [("QUARANTINE".into(), "ON".into())]);
    let at = world.books().changes[0].at;
    assert!((1..=60_000).contains(&at), "{at}");
    let quarantined = json!({"criteria": {"status": ["QUARANTINE"]}});
    let found = |world: &World| post(world, "devices/_search", &quarantined).1["num_found"].clone();
    assert_eq!(found(&world), json!(1));
    advance(SECOND * 240).await;
    assert_eq!(device(&world, 3)["quarantined"], json!(true), "it is back");
    advance(SECOND * 86_400).await;
    assert_eq!(
        device(&world, 2)["quarantined"],
        json!(false),
        "it never hears of it"
    );
    assert_eq!(found(&world), json!(2));

    // Live Response works in quarantine.
    active(&world, &json!({"device_id": 1})).await;
    let off = json!({"action_type": "QUARANTINE", "search": {"query": "name:WS-1"}, "options": {"toggle": "OFF"}});
    assert_eq!(ask(&world, &off), 204);
    advance(SECOND * 60).await;
    assert_eq!(found(&world), json!(1));
}

#[tokio::test(start_paused = true)]
async fn each_action_changes_its_part_of_the_record() {
    let table = [
        (
            json!({"action_type": "BYPASS", "options": {"toggle": "ON"}}),
            json!({"passive_mode": true, "status": "BYPASS"}),
            "ON",
        ),
        (
            json!({"action_type": "BACKGROUND_SCAN", "options": {"toggle": "ON"}}),
            json!({"scan_status": "IN_PROGRESS"}),
            "ON",
        ),
        (
            json!({"action_type": "BACKGROUND_SCAN", "options": {"toggle": "OFF"}}),
            json!({"scan_status": "STOPPED"}),
            "OFF",
        ),
        (
            json!({"action_type": "UPDATE_POLICY", "options": {"policy_id": 6526}}),
            json!({"policy_id": 6526, "policy_name": "Monitored", "current_sensor_policy_name": "Monitored"}),
            "6526",
        ),
        (
            json!({"action_type": "UPDATE_SENSOR_VERSION", "options": {"sensor_version": {"XP": "1.2.3.4"}}}),
            json!({"sensor_version": "1.2.3.4"}),
            "1.2.3.4",
        ),
        (
            json!({"action_type": "UNINSTALL_SENSOR"}),
            json!({"status": "DEREGISTERED"}),
            "",
        ),
    ];
    for (mut body, expected, what) in table {
        let world = World::new(vec![windows(1), windows(2)]);
        body["device_id"] = json!([1]);
        let untouched = device(&world, 2)["policy_name"].clone();
        assert_eq!(ask(&world, &body), 204, "{body}");
        advance(SECOND * 60).await;
        let record = device(&world, 1);
        for (key, value) in expected.as_object().expect("an object") {
            assert_eq!(&record[key], value, "{body}");
        }
        assert_eq!(device(&world, 2)["policy_name"], untouched);
        let name = body["action_type"].as_str().expect("text");
        assert_eq!(done(&world, 1), [(name.to_owned(), what.to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_ends_and_an_uninstalled_sensor_is_gone() {
    let world = World::new(vec![windows(1)]);
    let scan =
        json!({"action_type": "BACKGROUND_SCAN", "device_id": [1], "options": {"toggle": "ON"}});
    ask(&world, &scan);
    advance(SECOND * 660).await;
    let record = device(&world, 1);
    assert_eq!(record["scan_status"], "COMPLETED");
    assert!(record["scan_last_complete_time"].as_str() > record["scan_last_action_time"].as_str());

    // Only what is deregistered can be deleted.
    let delete = json!({"action_type": "DELETE_SENSOR", "device_id": [1]});
    assert_eq!(ask(&world, &delete), 204);
    assert_eq!(get(&world, "devices/1").0, 200);
    world.act(&[1], &Action::UninstallSensor);
    advance(SECOND * 60).await;
    let record = device(&world, 1);
    advance(SECOND * 600).await;
    assert_eq!(
        device(&world, 1)["last_contact_time"],
        record["last_contact_time"]
    );
    let (_, session) = post(&world, "liveresponse/sessions", &json!({"device_id": 1}));
    advance(SECOND * 10).await;
    let route = format!(
        "liveresponse/sessions/{}",
        session["id"].as_str().expect("an id")
    );
    assert_eq!(get(&world, &route).1["status"], "PENDING");
    ask(&world, &delete);
    assert_eq!(get(&world, "devices/1").0, 404);
}

#[tokio::test(start_paused = true)]
async fn actions_that_cannot_be_meant_are_refused() {
    let world = World::new(vec![windows(1)]);
    for body in [
        json!({}),
        json!([]),
        json!({"action_type": "QUARANTINE", "device_id": [1]}),
        json!({"action_type": "QUARANTINE", "device_id": [1], "options": {"toggle": true}}),
        json!({"action_type": "QUARANTINE", "device_id": 1, "options": {"toggle": "ON"}}),
        json!({"action_type": "QUARANTINE", "device_id": ["x"], "options": {"toggle": "ON"}}),
        json!({"action_type": "QUARANTINE", "options": {"toggle": "ON"}}),
        json!({"action_type": "UNINSTALL_SENSOR", "device_id": [1], "search": {}}),
        json!({"action_type": "UNINSTALL_SENSOR", "search": {"criteria": {"nonsense": ["x"]}}}),
        json!({"action_type": "UPDATE_POLICY", "device_id": [1], "options": {"policy_id": 4}}),
        json!({"action_type": "UPDATE_SENSOR_VERSION", "device_id": [1], "options": {"sensor_version": {}}}),
        json!({"action_type": "REBOOT", "device_id": [1]}),
    ] {
        assert_eq!(ask(&world, &body), 400, "{body}");
    }
    let wrong = request(&world, Method::Get, "device_actions", None);
    assert_eq!(answer(&world, &wrong).status, 405);
    advance(SECOND * 120).await;
    assert_eq!(done(&world, 1), []);
}

#[tokio::test(start_paused = true)]
async fn devices_are_counted_by_what_they_share() {
    let mut devices: Vec<SimDevice> = (1..=3).map(windows).collect();
    devices.push(SimDevice::new(4, "srv, \"old\"", Os::Linux));
    let world = World::new(devices);
    let body = json!({"criteria": {}, "terms": {"fields": ["os", "quarantined"], "rows": 5}});
    let (status, facets) = post(&world, "devices/_facet", &body);
    let expected = json!({"results": [
        {"field": "os", "values": [
            {"id": "WINDOWS", "name": "WINDOWS", "total": 3}, {"id": "LINUX", "name": "LINUX", "total": 1}]},
        {"field": "quarantined", "values": [{"id": "false", "name": "false", "total": 4}]},
    ]});
    assert_eq!((status, facets), (200, expected));
    let narrow = json!({"query": "os:LINUX", "terms": {"fields": ["os", "none"], "rows": 1}});
    let (_, facets) = post(&world, "devices/_facet", &narrow);
    let expected = json!({"results": [
        {"field": "os", "values": [{"id": "LINUX", "name": "LINUX", "total": 1}]},
        {"field": "none", "values": []},
    ]});
    assert_eq!(facets, expected);
    for body in [
        json!({}),
        json!({"terms": {}}),
        json!({"terms": {"fields": [1]}}),
    ] {
        assert_eq!(post(&world, "devices/_facet", &body).0, 400, "{body}");
    }

    let mut download = request(&world, Method::Get, "devices/_search/download", None);
    assert_eq!(answer(&world, &download).status, 400);
    download.query.push(("status".into(), "ALL".into()));
    let table = answer(&world, &download);
    let text = String::from_utf8(table.body).expect("text");
    assert_eq!((table.status, text.lines().count()), (200, 5));
    assert!(
        text.starts_with("id,name,os,") && text.contains("\r\n4,\"srv, \"\"old\"\"\",LINUX,"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_uninstalled_sensor_does_nothing_more_in_its_session() {
    let world = World::new(vec![windows(1), windows(2).check_in(SECOND * 70)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    post(&world, "liveresponse/sessions", &json!({"device_id": 2}));
    let gone = json!({"action_type": "UNINSTALL_SENSOR", "device_id": [1, 2]});
    assert_eq!(ask(&world, &gone), 204);
    advance(SECOND * 61).await;
    let folder = json!({"name": "create directory", "path": "C:\\t\\late"});
    let command = send(&world, &session, &folder);
    advance(SECOND * 10).await;
    assert_eq!(get(&world, &command).1["status"], "PENDING");
    let (_, other) = get(&world, "liveresponse/sessions/2:2");
    assert_eq!(other["status"], "PENDING", "it never checks in");
    assert_eq!(
        done(&world, 1),
        [("UNINSTALL_SENSOR".into(), String::new())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_device_takes_its_session_along() {
    let world = World::new(vec![windows(1)]);
    let session = active(&world, &json!({"device_id": 1})).await;
    for action in ["UNINSTALL_SENSOR", "DELETE_SENSOR"] {
        let body = json!({"action_type": action, "device_id": [1]});
        assert_eq!(ask(&world, &body), 204);
        advance(SECOND * 61).await;
    }
    assert_eq!(get(&world, &session).0, 404);
    assert_eq!(get(&world, "liveresponse/sessions").1, json!([]));
    let books = world.books();
    assert_eq!(
        (
            books.sessions_open,
            books.sessions_lost,
            books.sessions_leaked
        ),
        (0, 1, 0)
    );
}
