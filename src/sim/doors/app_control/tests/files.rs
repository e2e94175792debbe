use super::*;
use crate::sim::endpoint::order::Order;
use crate::sim::view::Stage;

const SHA1: &str = "d9a8da10f9716f9b549d78733bf6eb5893c7b48b";
const SHA256: &str = "91595a7297af2209091c316ff6039439283b11bac364fbbecf65afcdc39a0797";

/// Does the endpoint start the tool?
async fn starts(world: &World, device: u64) -> bool {
    let session = world.open(device).expect("opens").session.id;
    advance(Duration::from_millis(100)).await;
    let order = Order::CreateProcess {
        line: r"C:\Tools\Tool.exe".into(),
        wait: false,
        working_directory: None,
        output_file: None,
    };
    let command = world.post(&session, order).expect("taken").id;
    advance(Duration::from_millis(10)).await;
    let stage = world.command(&session, command).expect("known").stage;
    world.close(&session).expect("open");
    let Stage::Ended { outcome, .. } = stage else {
        panic!("it has not ended");
    };
    outcome.is_ok()
}

#[tokio::test(start_paused = true)]
async fn every_content_is_in_the_catalogue_once() {
    let world = World::new(vec![windows(3), windows(4)]);
    let found = get(&world, &format!("filecatalog?q=md5:{}", MD5.to_uppercase()));
    assert_eq!(ids(&found), [1]);
    let file = get(&world, "fileCatalog/1");
    assert_eq!(found, json!([file]));
    assert_eq!(
        without_dates(file),
        json!({
            "id": 1,
            "computerId": 3,
            "fileName": "tool.exe",
            "pathName": "c:\\tools",
            "fileExtension": "exe",
            "fileSize": 7,
            "fileType": "Application",
            "fileFlags": 0,
            "md5": MD5,
            "sha1": SHA1,
            "sha256": SHA256,
            "sha256HashType": 5,
            "fileState": 1,
            "effectiveState": "Unapproved",
            "prevalence": 2,
            "publisher": "",
            "publisherId": 0,
            "publisherState": 1,
            "certificateId": 0,
            "certificateState": 1,
            "company": "",
            "productName": "",
            "productVersion": "",
            "threat": -1,
            "trust": -1,
            "dateCreated": "a date",
        })
    );
    for query in [
        format!("sha1:{SHA1}"),
        format!("sha256:{SHA256}"),
        "threat<0&q=fileName:tool*".to_owned(),
    ] {
        assert_eq!(ids(&get(&world, &format!("fileCatalog?q={query}"))), [1]);
    }
    assert_eq!(get(&world, "fileCatalog?limit=-1"), json!({"count": 2}));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_approved_on_its_computer_alone() {
    let world = World::new(vec![windows(3), windows(4)]);
    let found = get(
        &world,
        "fileInstance?limit=1&offset=0&q=computerId:3&q=fileCatalogId:1",
    );
    let mut copy = found[0].clone();
    let id = copy["id"].clone();
    assert_eq!(
        without_dates(copy.clone()),
        json!({
            "id": id,
            "fileCatalogId": 1,
            "fileInstanceGroupId": 3,
            "computerId": 3,
            "policyId": 6525,
            "pathName": "c:\\tools",
            "fileName": "tool.exe",
            "localState": 1,
            "detailedLocalState": 1,
            "executed": false,
            "initialized": true,
            "topLevel": true,
            "certificateId": 0,
            "dateCreated": "a date",
        })
    );
    let path = format!("fileInstance/{id}");
    copy["localState"] = json!(2);
    let (status, approved) = ask(&world, Method::Post, &path, Some(&copy));
    assert_eq!((status, &approved["localState"]), (200, &json!(2)));
    assert_eq!(get(&world, &path), approved);
    let approved = get(&world, "fileInstance?q=localState:2");
    assert_eq!(
        (ids(&approved), approved[0]["computerId"].as_u64()),
        (vec![id.as_u64().expect("a number")], Some(3))
    );
    assert_eq!(
        put(&world, &path, &json!({"localState": 1}))["localState"],
        1
    );
    assert_eq!(put(&world, &path, &json!({}))["localState"], 1);
    assert_eq!(get(&world, "fileInstance?limit=-1"), json!({"count": 4}));
    for wrong in [
        json!(3),
        json!(0),
        json!(9),
        json!(-1),
        json!("x"),
        json!(true),
    ] {
        let body = json!({"localState": wrong});
        assert_eq!(
            ask(&world, Method::Put, &path, Some(&body)).0,
            400,
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_bans_everywhere_and_is_seen_everywhere() {
    let world = World::new(vec![windows(3), windows(4)]);
    assert_eq!(get(&world, "fileRule"), json!([]));
    assert!(starts(&world, 3).await);
    let rule = json!({"fileState": 3, "hash": MD5, "name": "ban", "policyIds": "0"});
    let made = post(&world, "fileRule", &rule);
    assert_eq!(
        without_dates(made.clone()),
        json!({
            "id": 1,
            "fileCatalogId": 1,
            "name": "ban",
            "description": "",
            "fileState": 3,
            "sourceType": 5,
            "sourceId": 0,
            "reportOnly": false,
            "reputationApprovalsEnabled": false,
            "forceInstaller": false,
            "forceNotInstaller": false,
            "policyIds": "0",
            "hash": MD5,
            "fileName": "",
            "lazyApproval": false,
            "platformFlags": 7,
            "version": 1,
            "clVersion": 1000,
            "visible": true,
            "unifiedFlag": 0,
            "unifiedSource": "",
            "createdBy": "App Control",
            "createdByUserId": 1,
            "dateCreated": "a date",
            "modifiedBy": "App Control",
            "modifiedByUserId": 1,
            "dateModified": "a date",
        })
    );
    assert_eq!(get(&world, "fileRule/1"), made);
    assert_eq!(get(&world, "filerule"), json!([made]));
    assert_eq!(get(&world, "fileCatalog/1")["fileState"], 3);
    assert_eq!(get(&world, "fileCatalog/1")["effectiveState"], "Banned");
    assert_eq!(
        get(&world, "fileInstance?q=localState:3&limit=-1"),
        json!({"count": 2})
    );
    assert!(!starts(&world, 3).await && !starts(&world, 4).await);
    let blocks = world.catalogue(|catalogue| catalogue.bans.rules()[0].blocks);
    assert_eq!(blocks, 2);

    let approved = put(
        &world,
        "fileRule/1",
        &json!({"fileState": 2, "description": "ours"}),
    );
    assert_eq!(
        (&approved["fileState"], &approved["version"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        (&approved["name"], &approved["description"]),
        (&json!("ban"), &json!("ours"))
    );
    assert!(starts(&world, 3).await);
    put(&world, "fileRule/1", &json!({"fileState": 3}));
    assert!(!starts(&world, 3).await);

    assert_eq!(
        ask(&world, Method::Delete, "fileRule/1", None),
        (204, Value::Null)
    );
    assert_eq!(ask(&world, Method::Delete, "fileRule/1", None).0, 404);
    assert_eq!(ask(&world, Method::Get, "fileRule/1", None).0, 404);
    assert_eq!(get(&world, "fileRule"), json!([]));
    assert!(starts(&world, 3).await);
}

/// What EDR's door says about the banned hash, and with what status.
fn edr(world: &World, method: Method, rest: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/v1/banning/blacklist{rest}");
    let mut request = Request::new(method, path).json(body);
    let token = world.keys().edr.clone();
    request.headers.push(("x-auth-token".to_owned(), token));
    let Response { status, body, .. } = answer(world, &request);
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_ban_of_edr_is_a_rule_too_and_the_other_way_round() {
    let world = World::new(vec![windows(3)]);
    let ban = json!({"md5hash": MD5, "text": "bad"});
    let one = format!("/{MD5}");
    assert_eq!(edr(&world, Method::Post, "", &ban).0, 200);
    let rule = get(&world, "fileRule/1");
    assert_eq!(
        (&rule["fileState"], &rule["policyIds"]),
        (&json!(3), &json!("0"))
    );
    assert_eq!(
        (&rule["description"], &rule["fileCatalogId"]),
        (&json!("bad"), &json!(1))
    );
    assert_ne!(rule["createdBy"], "App Control");
    assert_eq!(edr(&world, Method::Delete, &one, &json!({})).0, 200);
    assert_eq!(get(&world, "fileRule/1")["fileState"], 1);
    put(&world, "fileRule/1", &json!({"name": "theirs"}));
    let (status, banned) = edr(&world, Method::Get, &one, &json!({}));
    assert_eq!((status, &banned["enabled"]), (200, &json!(false)));

    put(
        &world,
        "fileRule/1",
        &json!({"fileState": 3, "description": "ours"}),
    );
    let (_, banned) = edr(&world, Method::Get, &one, &json!({}));
    assert_eq!(
        (&banned["enabled"], &banned["text"]),
        (&json!(true), &json!("ours"))
    );
    assert_eq!(ask(&world, Method::Delete, "fileRule/1", None).0, 204);
    let (_, banned) = edr(&world, Method::Get, &one, &json!({}));
    assert_eq!(banned["enabled"], false);
    assert_eq!(get(&world, "fileRule"), json!([]));
    assert_eq!(edr(&world, Method::Post, "", &ban).0, 200);
    assert_eq!(ids(&get(&world, "fileRule")), [1]);

    let rule = json!({"hash": SHA256, "fileState": 2});
    assert_eq!(post(&world, "fileRule", &rule)["id"], 1);
    assert_eq!(edr(&world, Method::Get, &one, &json!({})).0, 404);
}

#[tokio::test(start_paused = true)]
async fn rules_can_be_for_some_policies_or_only_tell() {
    let mut other = windows(4);
    other.policy = (6526, "Monitored".to_owned());
    let world = World::new(vec![windows(3), other]);
    let rule = json!({"fileCatalogId": 1, "fileState": 3, "policyIds": "6526, 6527", "name": "x"});
    let made = post(&world, "fileRule", &rule);
    assert_eq!(
        (&made["policyIds"], &made["hash"]),
        (&json!("6526,6527"), &json!(""))
    );
    assert_eq!(get(&world, "fileCatalog/1")["fileState"], 1);
    assert_eq!(
        get(&world, "fileInstance?q=localState:3")[0]["computerId"],
        4
    );
    assert!(starts(&world, 3).await);
    assert!(!starts(&world, 4).await);
    let told = put(&world, "fileRule/1", &json!({"reportOnly": true}));
    assert_eq!(
        (&told["fileState"], &told["reportOnly"]),
        (&json!(3), &json!(true))
    );
    assert!(starts(&world, 4).await);
    put(
        &world,
        "fileRule/1",
        &json!({"reportOnly": false, "policyIds": 0}),
    );
    assert!(!starts(&world, 3).await);
    let unknown = "0".repeat(64);
    let rule = json!({"hash": unknown, "fileState": 2});
    let made = post(&world, "fileRule", &rule);
    assert_eq!(
        (&made["id"], &made["fileCatalogId"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(ids(&get(&world, "fileRule?q=fileCatalogId:")), [2]);
    assert_eq!(
        ids(&get(&world, "fileRule?q=fileState:3|2&sort=id DESC")),
        [2, 1]
    );
}
