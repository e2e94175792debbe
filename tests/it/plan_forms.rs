//! A plan says the same in each of its forms, and to whoever asks again.

use crate::repository::root;
use serde_json::Value;
use std::process::Command;

fn plan(form: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sortie"))
        .args([
            "plan",
            "playbooks/windows/triage.yaml",
            "--simulate",
            "3",
            form,
        ])
        .current_dir(root())
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    String::from_utf8(output.stdout).expect("a plan is text")
}

#[test]
fn json_and_yaml_agree() {
    let json: Value = serde_json::from_str(&plan("--json")).expect("it is JSON");
    let yaml: Value = serde_yaml::from_str(&plan("--yaml")).expect("it is YAML");
    let (Value::Object(mut json), Value::Object(mut yaml)) = (json, yaml) else {
        panic!("a plan is a map");
    };
    // When it was made, and the address of a simulator that was made for it, are not of the plan.
    for plan in [&mut json, &mut yaml] {
        plan.remove("made").expect("it says when it was made");
        let backend = plan["backend"].as_object_mut().expect("a map");
        backend.remove("url").expect("it says where");
    }
    assert_eq!(json, yaml);
    let sha256 = json["sha256"].as_str().expect("text");
    assert!(sha256.len() == 64 && plan("--color=never").contains(sha256));
}
