//! The list of devices, and one of them.

use super::*;
use crate::sim::actions::{Action, Toggle};

fn fleet() -> World {
    let mut devices: Vec<SimDevice> = (1..=250)
        .map(|id| SimDevice::new(id, format!("WS-{id:04}"), Os::Windows))
        .collect();
    let mut server = SimDevice::new(251, "srv-1", Os::Linux);
    server.user = "root".into();
    devices.push(server);
    devices.push(SimDevice::new(252, "MAC-1", Os::Macos));
    World::new(devices)
}

fn found(world: &World, query: &str) -> (u64, Vec<u64>) {
    let (status, body) = get(world, &format!("device?{query}"));
    assert_eq!(
        (status, &body["success"]),
        (200, &json!(true)),
        "{query}: {body}"
    );
    assert_eq!(body["message"], "Success");
    let ids = body["results"].as_array().expect("a list").iter();
    let ids = ids.map(|one| one["deviceId"].as_u64().expect("a number"));
    (
        body["totalResults"].as_u64().expect("a number"),
        ids.collect(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_device_has_all_that_the_contract_names() {
    let world = World::new(vec![device()]);
    let (status, mut body) = get(&world, "device/98765");
    let info = &mut body["deviceInfo"];
    for key in ["lastContact", "lastReportedTime", "registeredTime"] {
        let time = info[key].take().as_i64().expect("a number");
        assert!(
            (1_000_000_000_000..=9_999_999_999_999).contains(&time),
            "{key}"
        );
    }
    let expected = json!({
        "deviceId": 98765, "deviceType": "WINDOWS", "name": "WS-7", "status": "REGISTERED",
        "sensorVersion": "3.9.1.2464", "lastContact": null, "lastReportedTime": null,
        "registeredTime": null, "policyId": 6525, "policyName": "Standard", "quarantined": false,
        "passiveMode": false,
        "sensorStates": ["ACTIVE", "LIVE_RESPONSE_NOT_RUNNING", "LIVE_RESPONSE_NOT_KILLED",
            "LIVE_RESPONSE_ENABLED"],
        "lastInternalIpAddress": "10.20.145.17", "lastExternalIpAddress": "192.0.2.10",
        "email": "jdoe@corp.example", "deviceOwnerId": 598_765, "organizationId": 1105,
        "organizationName": "sim.example",
    });
    assert_eq!(info, &expected);
    assert_eq!(
        (status, &body["success"], &body["message"]),
        (200, &json!(true), &json!("Success"))
    );
    let (_, list) = get(&world, "device");
    assert_eq!(list["totalResults"], 1);
    assert_eq!(
        list["results"][0],
        get(&world, "device/98765").1["deviceInfo"]
    );
    for id in ["1", "x", "-1", "99999999999999999999"] {
        let (status, body) = get(&world, &format!("device/{id}"));
        assert_eq!(
            (status, &body["status"]),
            (404, &json!("NOT_FOUND")),
            "{id}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_that_are_counted_from_one() {
    let world = fleet();
    let range = |from: u64, to: u64| (from..=to).collect::<Vec<_>>();
    assert_eq!(found(&world, "limit=0"), (252, vec![]));
    assert_eq!(found(&world, "rows=100"), (252, range(1, 100)));
    assert_eq!(found(&world, "rows=100&start=101"), (252, range(101, 200)));
    assert_eq!(found(&world, "start=201&rows=100"), (252, range(201, 252)));
    assert_eq!(found(&world, "start=253&rows=100"), (252, vec![]));
    assert_eq!(found(&world, "rows=2&start=0"), (252, range(1, 2)));
    assert_eq!(found(&world, "rows=2&start=1"), (252, range(1, 2)));
    assert_eq!(found(&world, ""), (252, range(1, 20)));
    assert_eq!(found(&world, "limit=3"), (252, range(1, 3)));
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_the_list() {
    let world = fleet();
    for (query, ids) in [
        ("hostNameExact=ws-0007", &[7][..]),
        ("hostNameExact=ws-000", &[]),
        ("hostName=WS-000", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("hostName=-1", &[251, 252]),
        ("ownerName=ROOT", &[251]),
        ("ownerName=nobody", &[]),
        ("ipAddress=10.20.0.9", &[7]),
        ("ipAddress=10.20.0", &[]),
        ("hostName=-1&ownerName=jdoe", &[252]),
    ] {
        let (total, seen) = found(&world, query);
        assert_eq!((total, &*seen), (ids.len() as u64, ids), "{query}");
    }
    let count = found(&world, "hostNameExact=MAC-1&limit=0");
    assert_eq!(count, (1, vec![]));
    let (_, list) = get(&world, "device?hostNameExact=MAC-1");
    assert_eq!(list["results"][0]["deviceType"], "MAC");
}

#[tokio::test(start_paused = true)]
async fn what_a_sensor_does_is_seen() {
    let world = World::new(vec![device()]);
    let contact =
        |world: &World| get(world, "device/98765").1["deviceInfo"]["lastContact"].as_i64();
    let before = contact(&world);
    world.act(&[98765], &Action::Quarantine(Toggle::On));
    world.act(&[98765], &Action::Bypass(Toggle::On));
    advance(SECOND * 120).await;
    assert!(contact(&world) > before);
    let (_, body) = get(&world, "device/98765");
    let info = &body["deviceInfo"];
    assert_eq!(
        (&info["quarantined"], &info["passiveMode"], &info["status"]),
        (&json!(true), &json!(true), &json!("BYPASS"))
    );
}
