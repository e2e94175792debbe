//! The JSON Schema of a scenario, for completion and hover in editors: what the readers beside it read.
//!
//! A test holds the keys against the readers, and the words come from the same lists.

use super::super::endpoint::programs::{Does, Encoding};
use super::super::fault::route::Route;
use super::super::fault::{Oddity, Page, Per};
use super::super::fleet::image::Magic;
use super::super::manners::{
    CloseAnswer, ContentFrom, FileIds, Letters, NoSensors, Percent, RegistryNames, RegistryTypes,
    Reopening, SensorIds, SessionList, Sign, WhilePending,
};
use super::fault::{Lot, Named};
use super::organisation::Limit;
use crate::model::device::Os;
use crate::playbook::schema;
use crate::template::{Bounded, Word, short_form};
use crate::text::duration::Duration;
use crate::text::size::Size;
use crate::wire::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;
use std::borrow::Cow;

/// The schema, as `schemas/scenario.json` holds it.
pub fn schema() -> Value {
    schema::of::<Document>()
}

/// An organisation for sortie's simulator: its devices, and what goes wrong there.
#[derive(JsonSchema)]
#[schemars(rename = "Scenario", deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Document {
    /// What makes the devices what they are, and the faults fall as they do; 7 if nothing is said.
    seed: Option<u64>,
    /// What is not as usual of the service itself.
    organisation: Option<Organisation>,
    /// The devices, in groups or one by one.
    devices: Vec<Device>,
    /// Programs that the devices know besides the usual ones, or instead of them; a program that lies on a
    /// disk does what is said here of one of its name.
    executables: Option<Vec<Executable>>,
    /// What goes wrong; of several that strike the same request, the first does.
    faults: Option<Vec<Fault>>,
}

/// How roomy the organisation is, and which of its ways the service has.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Organisation {
    /// How many sessions there may be at once; 100 if nothing is said.
    max_sessions: Option<Limit>,
    /// How many commands a session may have; 250 if nothing is said.
    max_commands: Option<Limit>,
    /// How the status of a command is written; upper if nothing is said.
    command_status: Option<Word<Letters>>,
    /// What the members of registry values are called: as observed, `registry_name` and types with `pb`, if
    /// nothing is said, or as documented, `value_name` and types without.
    registry_names: Option<Word<RegistryNames>>,
    /// Whether a memory dump counts how far it is, or says zero throughout.
    dump_percent: Option<Word<Percent>>,
    /// How result codes are written; unsigned if nothing is said.
    result_codes: Option<Word<Sign>>,
    /// Where the bytes of a file come from: elsewhere, by a redirect to another host, if nothing is said, or
    /// here, in the answer itself.
    content: Option<Word<ContentFrom>>,
    /// Ways of the cloud's third version.
    v3: Option<V3>,
    /// Ways of EDR, and of its server's configuration.
    edr: Option<Edr>,
}

/// Ways of the cloud's third version.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct V3 {
    /// Whether a list of all sessions is refused with 405, as it is if nothing is said.
    session_list: Option<Word<SessionList>>,
    /// What files are called; numbers if nothing is said.
    file_ids: Option<Word<FileIds>>,
    /// Whether types of registry values begin with `pb`; they are plain if nothing is said.
    registry_types: Option<Word<RegistryTypes>>,
}

/// Ways of EDR, and of its server's configuration.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Edr {
    /// Whether Live Response is switched on; if not, its routes are answered with 412.
    live_response: Option<bool>,
    /// How many sessions there may be at once; 10 if nothing is said.
    max_sessions: Option<Limit>,
    /// What a request for a second session on a device gets: the existing one if nothing is said, or 404.
    reopening: Option<Word<Reopening>>,
    /// How sessions write the number of their sensor; as a number if nothing is said.
    sensor_ids: Option<Word<SensorIds>>,
    /// What a session says of itself in answer to being closed; that it is if nothing is said.
    close_answer: Option<Word<CloseAnswer>>,
    /// What keepalive does to a session whose sensor has not checked in; it closes it if nothing is said.
    keepalive_while_pending: Option<Word<WhilePending>>,
    /// What a search for sensors is answered with that finds none; 204 if nothing is said.
    no_sensors: Option<Word<NoSensors>>,
}

/// A device by its name, or a number of them.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("oneOf" = [{"required": ["count"]}, {"required": ["name", "os"]}])
)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Device {
    /// The name of one device.
    name: Option<String>,
    /// How many devices of this kind there are.
    count: Option<Bounded<1, 100_000>>,
    /// Its operating system; a group without one has a mixture.
    os: Option<Word<Os>>,
    /// The number by which the organisation knows it.
    id: Option<u64>,
    /// The name of its policy.
    policy: Option<String>,
    /// Who is logged in.
    user: Option<String>,
    /// Its address.
    ip: Option<String>,
    /// It never checks in.
    offline: Option<bool>,
    /// How long its sensor takes to check in.
    check_in: Option<Duration>,
    /// It is away at first, and its sensor checks in again after this long.
    back_after: Option<Duration>,
    /// It is switched off this long after the beginning.
    off_after: Option<Duration>,
    /// How often its sensor reports to the organisation, and hears of isolation and policies.
    reports_every: Option<Duration>,
    /// How much memory it has, and so how large a dump of it is.
    memory: Option<Size>,
    /// How much room its disk has left.
    disk_free: Option<Size>,
    /// People who work at it in the vendor's console.
    console: Option<Vec<Visit>>,
    /// Whether Live Response is switched on for it.
    live_response: Option<bool>,
    /// Nothing lies on it but what is said here.
    bare: Option<bool>,
    /// Whether something lies there that a triage should find.
    planted: Option<bool>,
    /// Files that lie there besides the usual ones; a path that ends in a separator is a folder.
    files: Option<Vec<File>>,
    /// Paths of what is usually there, and here is not.
    without: Option<Vec<String>>,
    /// Registry keys that are there besides the usual ones.
    registry: Option<Vec<Key>>,
    /// Processes that run besides the usual ones.
    processes: Option<Vec<Process>>,
}

/// Somebody in the vendor's console, who shares the device's session with whoever else has one.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Visit {
    /// How long after the beginning somebody opens a session; at once if nothing is said.
    after: Option<Duration>,
    /// How long after somebody else's session began they join it, in place of `after`.
    joins_after: Option<Duration>,
    /// How long they stay; 10m if nothing is said.
    stays: Option<Duration>,
    /// How many commands they run.
    commands: Option<Bounded<0, 250>>,
    /// Whether they close the session when they leave.
    closes: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
#[expect(dead_code, reason = "only their schema is wanted")]
struct File {
    /// Where it lies; `{user}`, `{host}` and their like are filled in.
    path: String,
    /// What it holds.
    text: Option<String>,
    /// How long generated content is.
    size: Option<Size>,
    /// What generated content begins with.
    magic: Option<Word<Magic>>,
    /// The text is encoded as UTF-16.
    utf16: Option<bool>,
    /// How long ago it was written.
    age: Option<Duration>,
    /// READONLY, HIDDEN, SYSTEM, ARCHIVE or REPARSE_POINT.
    attributes: Option<Vec<String>>,
    /// Somebody holds it open, and nobody else may read it.
    locked: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("key"))]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Key {
    /// Its path, beginning with a hive such as HKLM, or with the path of a hive's file that nobody has
    /// loaded: `C:\Users\old\NTUSER.DAT\Software`.
    key: String,
    /// The values in it.
    values: Option<Vec<KeyValue>>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct KeyValue {
    /// The name of the value; empty for the default one.
    name: String,
    /// REG_SZ if nothing is said.
    r#type: Option<String>,
    /// What it holds, as text.
    data: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Process {
    /// The path of its program.
    path: String,
    /// How it was started; its path if nothing is said.
    command_line: Option<String>,
    /// Whom it belongs to; the system if nothing is said.
    user: Option<String>,
    /// Its number; a free one if nothing is said.
    pid: Option<u64>,
    /// The number of the process that started it.
    parent: Option<u64>,
    /// Nobody may end it.
    protected: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Executable {
    /// Where it is known.
    os: Vec<Word<Os>>,
    /// The name of its file.
    program: String,
    /// Which arguments this is about, with wildcards; any if nothing is said.
    args: Option<String>,
    /// What it does; it prints if nothing is said.
    does: Option<Word<Does>>,
    /// What it prints.
    output: Option<String>,
    /// What it exits with.
    code: Option<i64>,
    /// How long it runs.
    takes: Option<Duration>,
    /// How its output is encoded.
    encoding: Option<Word<Encoding>>,
    /// Files that are there when it ends.
    writes: Option<Vec<Written>>,
}

/// A file that a program writes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = short_form("path"))]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Written {
    /// From the folder on that the program runs in, or absolute; `{user}`, `{host}` and their like are filled in.
    path: String,
    /// What it holds.
    text: Option<String>,
}

/// An ordinal or a count.
type Ordinal = Bounded<1, 1_000_000_000>;

#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    extend("anyOf" = [
        {"required": ["status"]}, {"required": ["reset"]}, {"required": ["close"]},
        {"required": ["truncate"]}, {"required": ["slow"]}, {"required": ["odd"]},
        {"required": ["redirect"]}, {"required": ["session"]}, {"required": ["result"]},
        {"required": ["hang"]}, {"required": ["delay"]}
    ])
)]
#[expect(dead_code, reason = "only their schema is wanted")]
struct Fault {
    /// The routes that it is about, by the names that the simulator's books have for them; any if nothing is said.
    route: Option<Vec<RouteName>>,
    /// The methods that it is about.
    method: Option<Vec<Word<Method>>>,
    /// The devices that it is about: names with wildcards, or numbers.
    device: Option<Vec<String>>,
    /// The commands that it is about, where they are given and where they are asked for.
    command: Option<Vec<Word<Named>>>,
    /// Which of these requests it strikes, counted from 1; each of them if nothing is said.
    nth: Option<Vec<Ordinal>>,
    /// It strikes from this one on.
    from: Option<Ordinal>,
    /// This is the last that it strikes.
    to: Option<Ordinal>,
    /// It strikes each one after so many, beginning with `from`.
    every: Option<Ordinal>,
    /// It strikes not before the organisation is so old.
    after: Option<Duration>,
    /// It strikes no more once the organisation is so old.
    until: Option<Duration>,
    /// The share of them that it strikes, such as 5% or 0.05; the seed decides which.
    chance: Option<Chance>,
    /// What the ordinals count: the requests of the whole organisation if nothing is said.
    per: Option<Word<Per>>,
    /// How long nothing is answered, beside whatever else goes wrong.
    delay: Option<Duration>,
    /// The answer has this status. Below 300 it is the true answer otherwise; from 300 on the request is not
    /// carried out, unless `executed` says so.
    status: Option<Bounded<200, 599>>,
    /// The header Retry-After, whatever it may hold.
    retry_after: Option<String>,
    /// What stands in an answer with such a status.
    body: Option<Word<Page>>,
    /// The request is carried out before it is answered with that status.
    executed: Option<bool>,
    /// The connection is reset: before the request is carried out, after it, after the headers of the answer,
    /// after half its body, or after so many bytes of it.
    reset: Option<Moment>,
    /// The connection is closed, at one of the moments of `reset`.
    close: Option<Moment>,
    /// The body has so many bytes, and nothing says that there should be more.
    truncate: Option<Amount>,
    /// The body takes so long to come.
    slow: Option<Duration>,
    /// The answer is right, and written as some versions of the service write it.
    odd: Option<Vec<Word<Oddity>>>,
    /// The answer leads there, with the status 302 or that of `status`.
    redirect: Option<String>,
    /// The session is gone when the request arrives; or the sensor never checks in; or there are too many.
    session: Option<Word<Lot>>,
    /// The command ends with this result code, and nothing is done.
    result: Option<ResultCode>,
    /// The command is started and never ends.
    hang: Option<bool>,
}

macro_rules! inline {
    ($($name:ident: $schema:expr;)*) => {$(
        struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

inline! {
    RouteName: {
        let words: Vec<_> = Route::all().map(Route::word).collect();
        json_schema!({ "type": "string", "enum": words })
    };
    Moment: json_schema!({ "anyOf": [
        { "type": "string", "enum": ["before", "executed", "headers", "half"] },
        { "type": "integer", "minimum": 0 }
    ]});
    Amount: json_schema!({ "anyOf": [
        { "type": "string", "enum": ["half"] },
        { "type": "integer", "minimum": 0 }
    ]});
    Chance: json_schema!({ "anyOf": [
        { "type": "number", "minimum": 0, "maximum": 1 },
        { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?%$" }
    ]});
    ResultCode: json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": u32::MAX },
        { "type": "string", "pattern": "^(0x[0-9A-Fa-f]{1,8}|[0-9]+)$" }
    ]});
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::schema::tests::{required, walk, with};
    use crate::sim::scenario::Scenario;
    use crate::template::asked;
    use crate::text::diagnostic::Code;
    use serde_json::json;

    #[test]
    fn readers_and_schema_know_the_same_keys() {
        let root = schema();
        let mut seen = Vec::new();
        walk(&root, &root, &|document| document, &mut |map, place| {
            let known = map["properties"].as_object().expect("a map");
            let with_another = with(
                required(&root, map, &map["required"]),
                "no_such_key",
                json!(1),
            );
            let document = place(with_another).to_string();
            asked::take();
            let loaded = Scenario::load("s.yaml", document.as_bytes());
            let unknown = loaded
                .diagnostics
                .iter()
                .filter(|one| one.code == Code::UnknownKey);
            assert_eq!(unknown.count(), 1, "{document}: {:?}", loaded.diagnostics);
            let mut asked = asked::take();
            asked.sort_unstable();
            asked.dedup();
            let mut known: Vec<&str> = known.keys().map(String::as_str).collect();
            known.sort_unstable();
            assert_eq!(asked, known, "{document}");
            seen.push(std::ptr::from_ref(map));
        });
        seen.sort();
        seen.dedup();
        let closed = root
            .to_string()
            .matches("\"additionalProperties\":false")
            .count();
        assert_eq!(seen.len(), closed, "each of them can be reached");
    }
}
