//! The keys of docker's JSON.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor, value};

use super::*;
use crate::Error;
use crate::seccomp::json::{RawArch, RawArg, RawLimits, RawProfile, RawSyscall};
use crate::seccomp::keys::{ARCH, ARG, LIMITS, PROFILE, SYSCALL, Shape};

/// A profile that uses every key.
const ALL: &str = r#"{
    "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1, "architectures": null, "flags": [],
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}],
    "syscalls": [{"name": "", "names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 2,
        "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
        "includes": {"caps": [], "arches": [], "minKernel": ""},
        "excludes": null}]
}"#;

/// Each object: where it is in [`ALL`], its shape, and what serde calls its fields.
fn objects() -> [(&'static str, Shape, String); 5] {
    [
        ("", PROFILE, fields::<RawProfile>()),
        ("archMap[0].", ARCH, fields::<RawArch>()),
        ("syscalls[0].", SYSCALL, fields::<RawSyscall>()),
        ("syscalls[0].args[0].", ARG, fields::<RawArg>()),
        ("syscalls[0].includes.", LIMITS, fields::<RawLimits>()),
    ]
}

fn keys(shape: Shape) -> Vec<&'static str> {
    let Shape::Object(keys) = shape else { panic!("{shape:?} has no keys") };
    keys.iter().map(|(key, _)| *key).collect()
}

/// Names a type's fields in its error.
struct Fields;

impl<'de> Deserializer<'de> for Fields {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        Err(value::Error::custom(fields.join(" ")))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit map
        unit_struct newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

fn fields<'de, T: Deserialize<'de>>() -> String {
    T::deserialize(Fields).err().unwrap().to_string()
}

fn refused(json: &str) -> String {
    Profile::from_json(json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn every_field_has_a_key() {
    for (place, shape, fields) in objects() {
        assert_eq!(keys(shape).join(" "), fields, "{place}");
    }
}

#[test]
fn a_key_in_another_case_is_refused() {
    Profile::from_json(ALL.as_bytes()).unwrap();
    for (place, shape, _) in objects() {
        for key in keys(shape) {
            let (first, rest) = key.split_at(1);
            let others = [
                first.to_uppercase() + rest,
                key.to_uppercase(),
                key.replace('s', "\u{17f}"),
                key.replace('K', "\u{212a}"),
                key.to_lowercase(),
            ];
            for other in others.iter().filter(|other| *other != key) {
                let json = ALL.replacen(&format!("\"{key}\""), &format!("\"{other}\""), 1);
                let text = format!("{place}{other}: has to be spelled {key}");
                assert_eq!(refused(&json), format!("invalid seccomp profile: {text}"));
            }
        }
    }
}

#[test]
fn a_key_in_another_case_is_refused_beside_the_right_one_and_however_it_is_written() {
    for json in [
        ALL.replace("\"args\"", "\"args\": [], \"Args\""),
        ALL.replace("\"args\"", "\"\\u0041rgs\""),
    ] {
        let text = "invalid seccomp profile: syscalls[0].Args: has to be spelled args";
        assert_eq!(refused(&json), text);
    }
    let excludes = ALL.replace("\"excludes\": null", r#""excludes": {"Caps": ["CAP_KILL"]}"#);
    let text = "invalid seccomp profile: syscalls[0].excludes.Caps: has to be spelled caps";
    assert_eq!(refused(&excludes), text);
}

#[test]
fn other_keys_are_ignored_whatever_is_in_them() {
    let others = r#"{"listenerPath": "/x", "ListenerPath": 1, "comment": {"Args": [{"OP": 1}]}, "#;
    let json = ALL.replace('{', others);
    let json = json.replace("\"excludes\": null", r#""excludes": {"": [], "args": 1, "caps ": 0}"#);
    let plain = Profile::from_json(ALL.as_bytes()).unwrap();
    assert_eq!(Profile::from_json(json.as_bytes()).unwrap(), plain);
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    for (place, shape, _) in objects() {
        for key in keys(shape) {
            let value = match key {
                "architecture" | "action" | "op" => "\"\"",
                "index" | "value" | "valueTwo" => "7",
                _ => "null",
            };
            let twice = format!("\"{key}\": {value}, \"{key}\"");
            let json = ALL.replacen(&format!("\"{key}\""), &twice, 1);
            let text = format!("decoding seccomp profile failed: duplicate field `{key}`");
            assert!(refused(&json).starts_with(&text), "{place}{key}: {}", refused(&json));
        }
    }
}

#[test]
fn an_object_is_no_list_of_its_values() {
    let list = ALL.replace(
        r#"{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}"#,
        r#"[0, 1, 0, "SCMP_CMP_EQ"]"#,
    );
    for json in [list, ALL.replace("\"excludes\": null", r#""excludes": [["CAP_KILL"], [], ""]"#)] {
        let error = Profile::from_json(json.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::SeccompJson(_)), "{error}");
        assert!(error.to_string().contains("invalid type: sequence, expected an object"));
    }
}
