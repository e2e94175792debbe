use super::*;
use crate::sim::doors::devices;

/// A computer without what is made from its number.
const COMPUTER: &str = r#"{
    "id": 3,
    "name": "CORP\\WS-3",
    "computerTag": "",
    "description": "",
    "policyId": 6525,
    "policyName": "Standard",
    "previousPolicyId": 0,
    "automaticPolicy": false,
    "localApproval": false,
    "enforcementLevel": 30,
    "disconnectedEnforcementLevel": 30,
    "policyStatus": "Up to date",
    "policyStatusDetails": "",
    "connected": true,
    "daysOffline": 0,
    "isActive": true,
    "deleted": false,
    "uninstalled": false,
    "prioritized": false,
    "ipAddress": "10.20.0.5",
    "users": "CORP\\jdoe",
    "osName": "Windows 10 x64",
    "osShortName": "Windows 10",
    "platformId": 1,
    "agentVersion": "8.9.0.612",
    "lastRegisterDate": "a date",
    "lastPollDate": "a date",
    "dateCreated": "a date",
    "syncFlags": 0,
    "syncPercent": 100,
    "initializing": false,
    "initPercent": 100,
    "clVersion": 1000,
    "ccLevel": 0,
    "ccFlags": 0,
    "tamperProtectionActive": true,
    "upgradeStatus": "Up to date",
    "upgradeError": "",
    "upgradeErrorCount": 0,
    "upgradeErrorTime": null,
    "template": false,
    "templateComputerId": 0,
    "virtualized": "No",
    "virtualPlatform": "",
    "processorCount": 4,
    "processorModel": "x64",
    "processorSpeed": 2800,
    "memorySize": 8192,
    "machineModel": "Simulated",
    "cbSensorId": 3,
    "cbSensorVersion": "3.9.1.2464",
    "cbSensorFlags": 0,
    "debugLevel": 0,
    "kernelDebugLevel": 0,
    "debugFlags": 0,
    "debugDuration": 0,
    "activeDebugLevel": 0,
    "activeKernelDebugLevel": 0,
    "activeDebugFlags": 0,
    "SCEPStatus": 0,
    "hasHealthCheckErrors": false,
    "hasDuplicates": false
}"#;

#[tokio::test(start_paused = true)]
async fn the_server_tells_its_version() {
    let world = World::new(Vec::new());
    let version = json!({"id": 1, "name": "ParityServerVersion", "value": "8.9.0.1234"});
    for path in ["serverConfig", "serverconfig", "SERVERCONFIG"] {
        assert_eq!(get(&world, path), json!([version]));
    }
    let mut stranger = request(&world, Method::Get, "serverConfig", None);
    stranger.headers = vec![("x-auth-token".into(), world.keys().cloud.clone())];
    assert_eq!(answer(&world, &stranger).status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_computer_is_the_agent_on_a_device() {
    let world = World::new(vec![windows(3)]);
    let mut computer = without_dates(get(&world, "computer/3"));
    let members = computer.as_object_mut().expect("an object");
    let mac = members.remove("macAddress");
    let known = world.survey(|all, _| devices::mac(&all[&3]));
    assert_eq!(mac, Some(json!(known)));
    let password = members.remove("CLIPassword");
    assert_eq!(
        password.as_ref().and_then(Value::as_str).map(str::len),
        Some(16)
    );
    let expected: Value = serde_json::from_str(COMPUTER).expect("JSON");
    assert_eq!(computer, expected);
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_counted_and_put_in_order() {
    let mut devices: Vec<_> = (1..=2003)
        .map(|id| SimDevice::new(id, format!("WS-{id:04}"), Os::Linux))
        .collect();
    devices[6] = SimDevice::new(7, "DC-0007", Os::Macos).offline();
    let world = World::new(devices);
    assert_eq!(
        get(&world, "computer?limit=-1&q=deleted:false&q=name:*WS*"),
        json!({"count": 2002})
    );
    assert_eq!(ids(&get(&world, "computer?limit=1&offset=0&q=id:3")), [3]);
    assert_eq!(ids(&get(&world, "computer?limit=0&offset=5")).len(), 2003);
    assert_eq!(ids(&get(&world, "computer")).len(), 1000);
    let last = get(&world, "computer?limit=2&sort=name DESC");
    assert_eq!(ids(&last), [2003, 2002]);
    for query in [
        "connected:false",
        "daysOffline>2",
        "lastPollDate<-2d",
        "platformId:2",
        "name:*dc-*",
        "osShortName:MAC*",
    ] {
        assert_eq!(
            ids(&get(&world, &format!("computer?q={query}"))),
            [7],
            "{query}"
        );
    }
    let groups = json!([{"value": 2, "count": 1}, {"value": 4, "count": 2002}]);
    assert_eq!(get(&world, "computer?group=platformId"), groups);
    // What cbapi does: after the first page it goes on one row too far.
    let (mut offset, mut seen) = (0, 0);
    loop {
        let page = get(&world, &format!("computer?limit=1000&offset={offset}"));
        let rows = ids(&page).len();
        seen += rows;
        offset = seen + 1;
        if rows < 1000 {
            break;
        }
    }
    assert_eq!(seen, 2002);
}

#[tokio::test(start_paused = true)]
async fn a_policy_follows_when_the_agent_has_reported() {
    let world = World::new(vec![windows(3), windows(4).offline()]);
    for id in [3, 4] {
        let mut computer = get(&world, &format!("computer/{id}"));
        computer["policyId"] = json!(6527);
        let answer = put(&world, &format!("computer/{id}"), &computer);
        assert_eq!(answer, get(&world, &format!("computer/{id}")));
        assert_eq!(answer["policyId"], 6527);
        assert_eq!(answer["policyName"], "Standard");
        assert_eq!(answer["enforcementLevel"], 30);
        assert_eq!(answer["policyStatus"], "Pending");
        assert_eq!(answer["previousPolicyId"], 6525);
    }
    assert_eq!(get(&world, "policy/6525")["atEnforcementComputers"], 0);
    advance(MINUTE).await;
    let computer = get(&world, "computer/3");
    assert_eq!(computer["policyId"], 6527);
    assert_eq!(computer["policyName"], "Restrictive");
    assert_eq!(computer["enforcementLevel"], 20);
    assert_eq!(computer["policyStatus"], "Up to date");
    assert_eq!(world.books().done(3), [("UPDATE_POLICY", "6527")]);
    // Nobody is there who could hear of it.
    let offline = get(&world, "computer/4");
    assert_eq!(offline["policyId"], 6527);
    assert_eq!(offline["policyName"], "Standard");
    assert!(world.books().done(4).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_policy_does_not_last_where_something_else_decides() {
    for mode in ["automaticPolicy", "localApproval"] {
        let world = World::new(vec![windows(3)]);
        put(&world, "computer/3", &json!({mode: true}));
        let answer = put(&world, "computer/3", &json!({"id": 3, "policyId": 6527}));
        assert_eq!(answer["policyId"], 6527);
        advance(MINUTE).await;
        let computer = get(&world, "computer/3");
        assert_eq!(
            (&computer["policyId"], &computer[mode]),
            (&json!(6525), &json!(true))
        );
        assert!(world.books().changes.is_empty());
        // Switched off in the same breath.
        put(
            &world,
            "computer/3",
            &json!({mode: false, "policyId": 6527}),
        );
        advance(MINUTE).await;
        assert_eq!(get(&world, "computer/3")["policyName"], "Restrictive");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_written_into_a_computer_stays() {
    let world = World::new(vec![windows(3), windows(4)]);
    let before = get(&world, "computer/3");
    let change = json!({
        "id": 3,
        "name": "D\\H",
        "computerTag": "case 7",
        "description": "seized",
        "prioritized": true,
        "debugLevel": 5,
        "template": true,
        "tamperProtectionActive": false,
        "unheard": "of",
    });
    let mut expected = before.clone();
    expected["computerTag"] = json!("case 7");
    expected["description"] = json!("seized");
    expected["prioritized"] = json!(true);
    assert_eq!(put(&world, "computer/3", &change), expected);
    let switches = "changeDiagnostics=true&changeTemplate=true&newTamperProtectionActive=false";
    expected["debugLevel"] = json!(5);
    expected["activeDebugLevel"] = json!(5);
    expected["template"] = json!(true);
    expected["tamperProtectionActive"] = json!(false);
    let path = format!("computer/3?{switches}");
    assert_eq!(put(&world, &path, &change), expected);
    assert_eq!(ids(&get(&world, "computer?q=computerTag:CASE*")), [3]);
    assert_eq!(ids(&get(&world, "computer?q=computerTag:")), [4]);
    assert_eq!(ids(&get(&world, "computer?q=computerTag!")), [3]);
    put(&world, "computer/3?resetCLIPassword=true", &json!({}));
    assert_ne!(
        get(&world, "computer/3")["CLIPassword"],
        before["CLIPassword"]
    );
    put(&world, "computer/3", &json!({"computerTag": ""}));
    assert_eq!(
        get(&world, "computer?q=computerTag:&limit=-1"),
        json!({"count": 2})
    );
}

#[tokio::test(start_paused = true)]
async fn policies_are_those_of_the_organisation() {
    let mut own = windows(4).offline();
    own.policy = (9, "Own".to_owned());
    let world = World::new(vec![windows(3), own]);
    assert_eq!(ids(&get(&world, "policy?limit=0")), [9, 6525, 6526, 6527]);
    assert_eq!(ids(&get(&world, "policy?q=enforcementLevel<30")), [6527]);
    assert_eq!(get(&world, "policy/9")["connectedComputers"], 0);
    assert_eq!(
        get(&world, "policy/6525"),
        json!({
            "id": 6525,
            "name": "Standard",
            "description": "",
            "packageName": "Standard",
            "enforcementLevel": 30,
            "disconnectedEnforcementLevel": 30,
            "totalComputers": 1,
            "connectedComputers": 1,
            "atEnforcementComputers": 1,
            "readOnly": false,
            "hidden": false,
            "automatic": false,
            "loadAgentInSafeMode": false,
            "reputationEnabled": true,
            "fileTrackingEnabled": true,
            "customLogo": false,
            "automaticApprovalsOnTransition": false,
            "allowAgentUpgrades": true,
            "helpDeskUrl": "",
            "imageUrl": "",
            "clVersionMax": 1000,
        })
    );
}
