//! The ways in which the service was seen to differ from itself.

use super::*;
use crate::sim::endpoint::content::Content;
use crate::sim::endpoint::registry::Value as RegistryValue;
use crate::sim::manners::{ContentFrom, Letters, Manners, Percent, RegistryNames, Sign};
use crate::sim::world::Settings;

fn world(manners: Manners) -> World {
    let mut device = windows(1);
    let value = RegistryValue {
        name: "v".into(),
        kind: "REG_SZ",
        data: "x".into(),
    };
    let planted = device.endpoint.registry.plant(r"HKLM\X", vec![value]);
    planted.expect("a hive");
    let planted = device
        .endpoint
        .plant(r"C:\t\a", Some(Content::text("abc")), |_| {});
    planted.expect("legal");
    let settings = Settings {
        manners,
        ..Settings::default()
    };
    World::with(vec![device], settings)
}

#[tokio::test(start_paused = true)]
async fn every_switch_changes_what_it_names() {
    let other = Manners {
        status: Letters::Lower,
        registry: RegistryNames::Documented,
        percent: Percent::StaysZero,
        codes: Sign::Signed,
        content: ContentFrom::Here,
        ..Manners::default()
    };
    let observed = json!({"registry_name": "v", "registry_type": "pbREG_SZ", "registry_data": "x"});
    let documented = json!({"value_name": "v", "value_type": "REG_SZ", "value_data": "x"});
    for (manners, word, code, value, percent, status) in [
        (
            Manners::default(),
            "COMPLETE",
            2_147_942_402_i64,
            observed,
            100,
            302,
        ),
        (other, "complete", -2_147_024_894, documented, 0, 200),
    ] {
        let world = world(manners);
        let session = active(&world, &json!({"device_id": 1})).await;
        let query = send(
            &world,
            &session,
            &json!({"name": "reg query value", "path": "HKLM\\X\\v"}),
        );
        let missing = json!({"name": "reg query value", "path": "HKLM\\X\\n"});
        let missing = send(&world, &session, &missing);
        let dump = send(
            &world,
            &session,
            &json!({"name": "memdump", "path": "C:\\t\\m"}),
        );
        let fetch = send(
            &world,
            &session,
            &json!({"name": "get file", "path": "C:\\t\\a"}),
        );
        advance(SECOND * 10).await;
        let (_, query) = get(&world, &query);
        assert_eq!((&query["status"], &query["value"]), (&json!(word), &value));
        assert_eq!(get(&world, &missing).1["result_code"], json!(code));
        let percentdone = &get(&world, &dump).1["mem_dump"]["percentdone"];
        assert_eq!(percentdone, &json!(percent));
        let (_, fetch) = get(&world, &fetch);
        let file = fetch["file_details"]["file_id"].as_str().expect("named");
        let content = request(
            &world,
            Method::Get,
            &format!("{session}/files/{file}/content"),
            None,
        );
        let content = answer(&world, &content);
        assert_eq!(content.status, status);
        assert_eq!(content.body == b"abc", status == 200);
    }
}
