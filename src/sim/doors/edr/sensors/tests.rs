use super::super::rig::{SECOND, call, get, put, request, told, windows, world};
use crate::model::device::Os;
use crate::sim::device::SimDevice;
use crate::sim::doors::answer;
use crate::sim::manners::{Edr, NoSensors};
use crate::sim::world::World;
use crate::wire::{Method, Request};
use serde_json::{Value, json};
use tokio::time::advance;

fn ids(list: &Value) -> Vec<u64> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(|one| one["id"].as_u64()).collect()
}

fn six(isolated: bool) -> Value {
    json!({"event_log_flush_time": null, "group_id": 1, "network_isolation_enabled": isolated,
        "notes": null, "restart_queued": false, "uninstall": false})
}

/// Both flags: what is wanted, and what is.
fn isolation(world: &World, id: u64) -> (bool, bool) {
    let (status, record) = get(world, &format!("v1/sensor/{id}"));
    assert_eq!(status, 200, "{record}");
    let flag = |key: &str| record[key].as_bool().expect("a flag");
    (flag("network_isolation_enabled"), flag("is_isolating"))
}

/// As the cloud's own API asks, and tells.
fn cloud(world: &World, method: Method, rest: &str, body: Option<&Value>) -> (u16, Value) {
    let path = format!("/appservices/v6/orgs/{}/{rest}", world.org_key());
    let mut request = Request::new(method, path);
    if let Some(body) = body {
        request = request.json(body);
    }
    let token = ("x-auth-token".to_owned(), world.token().to_owned());
    request.headers.push(token);
    told(&answer(world, &request))
}

#[tokio::test(start_paused = true)]
async fn a_record_has_what_servers_tell() {
    let world = World::new(vec![windows(7)]);
    let (status, record) = get(&world, "v1/sensor/7");
    assert_eq!(status, 200);
    let expected = json!({
        "id": 7, "computer_name": "WS-7", "os_type": 1, "os_environment_display_string": "Windows 10 x64",
        "status": "Online", "group_id": 1, "network_isolation_enabled": false, "is_isolating": false,
        "supports_isolation": true, "supports_cblr": true, "restart_queued": false, "uninstall": false,
        "uninstalled": false, "notes": null, "event_log_flush_time": null, "clock_delta": "0",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(record[key], *value, "{key}");
    }
    for key in [
        "uptime",
        "sensor_uptime",
        "boot_id",
        "parity_host_id",
        "physical_memory_size",
        "systemvolume_total_size",
        "systemvolume_free_size",
        "num_eventlog_bytes",
        "num_storefiles_bytes",
    ] {
        let text = record[key].as_str().expect("text");
        assert!(text.parse::<u64>().is_ok(), "{key}: {text}");
    }
    for key in [
        "registration_time",
        "last_checkin_time",
        "next_checkin_time",
        "last_update",
    ] {
        let text = record[key].as_str().expect("text");
        assert_eq!((text.len(), &text[10..11]), (32, " "), "{key}: {text}");
        assert!(text.parse::<jiff::Timestamp>().is_ok(), "{key}: {text}");
    }
    let adapters = record["network_adapters"].as_str().expect("text");
    let (ip, mac) = adapters
        .strip_suffix('|')
        .and_then(|one| one.split_once(','))
        .expect("one adapter");
    assert_eq!((ip, mac.len()), ("10.20.0.9", 12));
    assert_eq!(record.as_object().map(serde_json::Map::len), Some(51));
}

#[tokio::test(start_paused = true)]
async fn sensors_are_found_by_parts_of_their_names() {
    let mut devices: Vec<SimDevice> = (1..=3).map(windows).collect();
    devices.push(SimDevice::new(10, "srv", Os::Linux).offline());
    devices.push(SimDevice::new(11, "MAC", Os::Macos).live_response_off());
    let world = World::new(devices);
    for (query, expected) in [
        ("", &[1, 2, 3, 10, 11][..]),
        ("?hostname=S-", &[1, 2, 3]),
        ("?hostname=", &[1, 2, 3, 10, 11]),
        ("?ip=20.0.1", &[10, 11]),
        ("?hostname=WS&ip=20.0.12", &[10]),
        ("?groupid=1&hostname=srv", &[10]),
    ] {
        let (status, list) = get(&world, &format!("v1/sensor{query}"));
        assert_eq!((status, ids(&list).as_slice()), (200, expected), "{query}");
        let (status, page) = get(&world, &format!("v2/sensor{query}"));
        assert_eq!(status, 200);
        assert_eq!(page["total_results"], json!(expected.len()), "{query}");
        let mut paged = ids(&page["results"]);
        paged.sort_unstable();
        assert_eq!(paged, expected, "{query}");
    }
    for (id, member, value) in [
        (10, "status", json!("Offline")),
        (10, "os_type", json!(3)),
        (11, "os_type", json!(2)),
        (11, "supports_cblr", json!(false)),
    ] {
        assert_eq!(get(&world, &format!("v1/sensor/{id}")).1[member], value);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_are_sorted_and_cut() {
    let world = World::new((1..=12).map(windows).collect());
    for (query, expected) in [
        ("rows=0&start=0", &[][..]),
        ("rows=2", &[1, 10]),
        (
            "rows=2&start=3&sort.col=computer_name&sort.dir=asc",
            &[12, 2],
        ),
        ("rows=2&sort.col=id", &[1, 2]),
        ("rows=2&sort.col=id&sort.dir=desc", &[12, 11]),
        ("rows=2&sort.col=group_id&sort.dir=desc", &[1, 2]),
        ("rows=5&start=11&sort.col=status", &[12]),
        ("start=12", &[]),
    ] {
        let (status, page) = get(&world, &format!("v2/sensor?{query}"));
        assert_eq!((status, &page["total_results"]), (200, &json!(12)));
        assert_eq!(ids(&page["results"]), expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_found_is_told_in_three_ways() {
    for (no_sensors, expected) in [
        (NoSensors::NoContent, (204, json!(""))),
        (NoSensors::Error, (500, json!("no sensor found"))),
        (NoSensors::Empty, (200, json!([]))),
    ] {
        let ways = Edr {
            no_sensors,
            ..Edr::default()
        };
        let world = world(vec![windows(1)], ways);
        // Case counts.
        assert_eq!(get(&world, "v1/sensor?hostname=ws"), expected);
        assert_eq!(get(&world, "v1/sensor?groupid=2"), expected);
        let empty = json!({"total_results": 0, "results": []});
        assert_eq!(get(&world, "v2/sensor?hostname=ws"), (200, empty));
        assert_eq!(get(&world, "v1/sensor").0, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn isolation_is_asked_at_once_and_comes_with_the_next_contact() {
    let world = World::new(vec![windows(1), windows(2).offline()]);
    for on in [true, false] {
        for id in [1, 2] {
            let route = format!("v1/sensor/{id}");
            // Objects that say what is so already ask for nothing.
            put(&world, &route, &six(!on));
            assert_eq!(put(&world, &route, &six(on)), (204, json!("")));
            assert_eq!(isolation(&world, id), (on, id == 1 && !on));
        }
        advance(SECOND * 60).await;
        assert_eq!(isolation(&world, 1), (on, on));
        assert_eq!(isolation(&world, 2), (on, false));
        let (_, record) = cloud(&world, Method::Get, "devices/1", None);
        assert_eq!(record["quarantined"], json!(on));
    }
    let quarantined: Vec<(String, String)> = world
        .books()
        .done(1)
        .into_iter()
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect();
    let expected = ["ON", "OFF"].map(|what| ("QUARANTINE".to_owned(), what.to_owned()));
    assert_eq!(quarantined, expected);
}

#[tokio::test(start_paused = true)]
async fn isolation_is_the_same_through_every_door() {
    let world = World::new(vec![windows(1)]);
    let act = json!({"action_type": "QUARANTINE", "device_id": [1], "options": {"toggle": "ON"}});
    assert_eq!(
        cloud(&world, Method::Post, "device_actions", Some(&act)).0,
        204
    );
    assert_eq!(isolation(&world, 1), (true, false));
    advance(SECOND * 60).await;
    assert_eq!(isolation(&world, 1), (true, true));
    // The whole object as it was read, as older servers want it.
    let (_, mut record) = get(&world, "v1/sensor/1");
    record["network_isolation_enabled"] = json!(false);
    assert_eq!(put(&world, "v1/sensor/1", &record).0, 204);
    assert_eq!(isolation(&world, 1), (false, true));
    advance(SECOND * 60).await;
    assert_eq!(isolation(&world, 1), (false, false));
}

#[tokio::test(start_paused = true)]
async fn what_is_written_down_stays() {
    let world = World::new(vec![windows(1), windows(2)]);
    let body = json!({"event_log_flush_time": "Fri, 02 Feb 2024 04:05:06 GMT", "group_id": "3",
        "notes": "lent out", "restart_queued": true});
    assert_eq!(put(&world, "v1/sensor/1", &body).0, 204);
    let (_, record) = get(&world, "v1/sensor/1");
    assert_eq!(
        record["event_log_flush_time"],
        json!("2024-02-02 04:05:06.000000+00:00")
    );
    assert_eq!(record["notes"], json!("lent out"));
    assert_eq!(ids(&get(&world, "v1/sensor?groupid=3").1), [1]);
    for _ in 0..2 {
        let (_, record) = get(&world, "v1/sensor/1");
        let restart = (&record["restart_queued"], &record["status"]);
        assert_eq!(restart, (&json!(true), &json!("Restart Pending")));
        advance(SECOND * 60).await;
        let (_, record) = get(&world, "v1/sensor/1");
        let restart = (&record["restart_queued"], &record["status"]);
        assert_eq!(restart, (&json!(false), &json!("Online")));
        put(&world, "v1/sensor/1", &json!({"restart_queued": "true"}));
    }
    put(&world, "v1/sensor/1", &six(false));
    let (_, record) = get(&world, "v1/sensor/1");
    assert_eq!(
        (&record["notes"], &record["event_log_flush_time"]),
        (&Value::Null, &Value::Null)
    );

    put(&world, "v1/sensor/2", &json!({"uninstall": true}));
    assert_eq!(
        get(&world, "v1/sensor/2").1["status"],
        json!("Uninstall Pending")
    );
    advance(SECOND * 60).await;
    let (_, record) = get(&world, "v1/sensor/2");
    assert_eq!(
        (&record["status"], &record["uninstalled"]),
        (&json!("Uninstalled"), &json!(true))
    );
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_can_be_taken_back_until_the_sensor_reports() {
    let world = World::new(vec![windows(1), windows(2)]);
    for sensor in [1, 2] {
        put(
            &world,
            &format!("v1/sensor/{sensor}"),
            &json!({"uninstall": true}),
        );
    }
    put(&world, "v1/sensor/1", &json!({"uninstall": false}));
    assert_eq!(get(&world, "v1/sensor/1").1["status"], json!("Online"));
    advance(SECOND * 60).await;
    for (sensor, status) in [(1, "Online"), (2, "Uninstalled")] {
        let (_, record) = get(&world, &format!("v1/sensor/{sensor}"));
        assert_eq!(record["status"], json!(status));
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let world = World::new(vec![windows(1)]);
    for body in [
        json!({"event_log_flush_time": "2024-02-03 04:05:06.002234-06:00"}),
        json!({"event_log_flush_time": 5}),
        json!({"event_log_flush_time": ""}),
        json!({"group_id": -1}),
        json!({"group_id": "x"}),
        json!({"group_id": 1.5}),
        json!({"notes": []}),
        json!({"network_isolation_enabled": 1}),
        json!({"restart_queued": {}}),
        json!({"uninstall": "perhaps"}),
        json!([]),
        json!(null),
    ] {
        let (status, text) = put(&world, "v1/sensor/1", &body);
        assert_eq!((status, text.is_string()), (400, true), "{body}: {text}");
    }
    for body in [&b""[..], b"{", b"\xff\xfe", "[".repeat(100_000).as_bytes()] {
        let mut garbage = request(&world, Method::Put, "v1/sensor/1");
        garbage.body = body.to_vec();
        assert_eq!(answer(&world, &garbage).status, 400);
    }
    for id in ["2", "x", "-1", "99999999999999999999", ""] {
        let route = format!("v1/sensor/{id}");
        let expected = (404, json!(format!("Sensor {id} not found")));
        assert_eq!(get(&world, &route), expected);
        assert_eq!(put(&world, &route, &six(true)), expected);
    }
    for query in [
        "v1/sensor?groupid=x",
        "v2/sensor?start=-1",
        "v2/sensor?rows=many",
        "v2/sensor?rows=99999999999999999999999",
        "v2/sensor?sort.col=x",
        "v2/sensor?sort.dir=up",
    ] {
        assert_eq!(get(&world, query).0, 400, "{query}");
    }
    for rest in ["v1/sensor", "v2/sensor", "v1/sensor/1"] {
        let body = json!({});
        assert_eq!(
            call(&world, Method::Post, rest, Some(&body)).status,
            405,
            "{rest}"
        );
    }
}
