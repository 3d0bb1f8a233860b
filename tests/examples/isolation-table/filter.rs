//! From a seccomp profile in docker's format, whose rules depend on the machine and on
//! capabilities, to that of the OCI runtime specification.

use serde_json::{Value, json};

use crate::Failure;
use crate::bundle::CAPABILITIES;

/// What docker calls this machine's architecture, in rules and as a filter's.
#[cfg(target_arch = "x86_64")]
const MACHINE: (&str, &str) = ("amd64", "SCMP_ARCH_X86_64");
/// What docker calls this machine's architecture, in rules and as a filter's.
#[cfg(target_arch = "aarch64")]
const MACHINE: (&str, &str) = ("arm64", "SCMP_ARCH_AARCH64");

/// The filter of a container with docker's capabilities.
pub(crate) fn specification(profile: &Value) -> Result<Value, Failure> {
    // One that depends on nothing is one already.
    if profile["archMap"].is_null() && profile["architectures"].is_array() {
        return Ok(profile.clone());
    }
    let maps = profile["archMap"].as_array().ok_or("the profile has no archMap")?;
    let own = maps.iter().find(|map| map["architecture"] == MACHINE.1);
    let mut architectures = vec![json!(MACHINE.1)];
    if let Some(more) = own.and_then(|map| map["subArchitectures"].as_array()) {
        architectures.extend(more.iter().cloned());
    }
    let rules = profile["syscalls"].as_array().ok_or("the profile has no syscalls")?;
    let rules: Vec<Value> = rules.iter().filter(|rule| applies(rule)).map(rule).collect();
    let mut filter = json!({
        "defaultAction": profile["defaultAction"],
        "architectures": architectures,
        "syscalls": rules,
    });
    if profile["defaultErrnoRet"].is_u64() {
        filter["defaultErrnoRet"] = profile["defaultErrnoRet"].clone();
    }
    Ok(filter)
}

fn applies(rule: &Value) -> bool {
    let names = |which: &str, what: &str| -> Vec<String> {
        let list = rule[which][what].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let has = |name: &String| CAPABILITIES.contains(&name.as_str());
    let (here, only) = (names("excludes", "arches"), names("includes", "arches"));
    // Every kernel that minidock runs on is newer than any `minKernel` of docker's.
    names("includes", "caps").iter().all(has)
        && !names("excludes", "caps").iter().any(has)
        && (only.is_empty() || only.iter().any(|name| name == MACHINE.0))
        && !here.iter().any(|name| name == MACHINE.0)
}

fn rule(rule: &Value) -> Value {
    let names = match rule["names"].is_array() {
        true => rule["names"].clone(),
        false => json!([rule["name"]]),
    };
    let mut specified = json!({ "names": names, "action": rule["action"] });
    for field in ["errnoRet", "args"] {
        if !rule[field].is_null() {
            specified[field] = rule[field].clone();
        }
    }
    specified
}
