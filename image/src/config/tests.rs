use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::manifest::{Descriptor, OCI_CONFIG, OCI_LAYER};

fn round(config: &ImageConfig) -> ImageConfig {
    ImageConfig::parse(&config.to_bytes().unwrap()).unwrap()
}

#[test]
fn all_that_docker_writes_is_known() {
    let id = Digest::of(b"layer").to_string();
    let value = json!({
        "architecture": "arm", "variant": "v6", "os": "linux", "os.version": "1",
        "created": "2024-05-01T00:00:00Z", "author": "me", "docker_version": "27",
        "config": {
            "Hostname": "abc", "Domainname": "d", "User": "1000:1000", "Tty": false,
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/bin", "A="], "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["a b"],
            "Volumes": {"/data": {}}, "WorkingDir": "/srv", "Labels": {"a": "b"},
            "StopSignal": "SIGQUIT", "StopTimeout": 3, "ArgsEscaped": true,
            "Healthcheck": {
                "Test": ["CMD", "true"], "Interval": 1_000_000_000, "Timeout": 2, "StartPeriod": 3,
                "StartInterval": 4, "Retries": 5, "Later": 6,
            },
            "OnBuild": ["RUN x"], "Shell": ["/bin/bash", "-c"],
        },
        "rootfs": {"type": "layers", "diff_ids": [id]},
        "history": [
            {"created": "2024-05-01T00:00:00Z", "created_by": "ADD", "comment": "c", "author": "me"},
            {"created_by": "CMD", "empty_layer": true, "later": [1]},
        ],
    });
    let config = ImageConfig::parse(value.to_string().as_bytes()).unwrap();
    assert_eq!(config.platform().to_string(), "linux/arm/v6");
    assert_eq!(config.config.exposed_ports.iter().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
    let health = config.config.healthcheck.as_ref().unwrap();
    assert_eq!((health.interval, health.retries), (Some(1_000_000_000), Some(5)));
    assert_eq!(config.config.entrypoint.as_deref().unwrap(), ["/bin/sh", "-c"]);
    assert_eq!(config.rootfs.diff_ids, [Digest::of(b"layer")]);
    assert!(config.history.last().unwrap().empty_layer);
    // Nothing is lost when it is written again, what is not known here neither.
    let again: Value = serde_json::from_slice(&config.to_bytes().unwrap()).unwrap();
    assert_eq!(again, value);
}

#[test]
fn null_is_as_missing() {
    let bare = ImageConfig::parse(br#"{"rootfs":{"type":"layers"}}"#).unwrap();
    assert_eq!(bare, ImageConfig::default());
    let fields = [
        "Hostname",
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Volumes",
        "WorkingDir",
        "Labels",
        "StopSignal",
        "Healthcheck",
        "OnBuild",
        "Shell",
        "ArgsEscaped",
        "StopTimeout",
    ];
    let nulls: BTreeMap<_, _> = fields.iter().map(|field| (field, Value::Null)).collect();
    let value = json!({
        "architecture": null, "os": null, "variant": null, "created": null, "author": null,
        "history": null, "config": nulls, "rootfs": {"type": "layers", "diff_ids": null},
    });
    assert_eq!(ImageConfig::parse(value.to_string().as_bytes()).unwrap(), bare);
    let value = json!({"config": null, "rootfs": {"type": "layers", "diff_ids": []}});
    assert_eq!(ImageConfig::parse(value.to_string().as_bytes()).unwrap(), bare);
}

#[test]
fn an_empty_entry_point_is_not_a_missing_one() {
    let value = json!({"config": {"Entrypoint": [], "Cmd": "sh"}, "rootfs": {"type": "layers"}});
    let config = ImageConfig::parse(value.to_string().as_bytes()).unwrap();
    assert_eq!(config.config.entrypoint, Some(Vec::new()));
    assert_eq!(config.config.cmd.as_deref().unwrap(), ["sh"]);
    assert_eq!(round(&config), config);
}

#[test]
fn what_is_no_configuration_is_refused() {
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"rootfs":{"type":"windows"}}"#,
        r#"{"rootfs":{"type":"layers","diff_ids":["sha256:../x"]}}"#,
        r#"{"rootfs":{"type":"layers"},"config":{"Env":[1]}}"#,
        r#"{"rootfs":{"type":"layers"},"rootfs":{"type":"layers"}}"#,
        r#"{"rootfs":{"type":"layers"},"config":{"Cmd":[],"Cmd":["a"]}}"#,
    ] {
        assert!(ImageConfig::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    let mut long = br#"{"rootfs":{"type":"layers"}}"#.to_vec();
    long.resize((8 << 20) + 1, b' ');
    assert!(matches!(ImageConfig::parse(&long), Err(ConfigError::TooLarge(_))));
}

#[test]
fn the_layers_of_manifest_and_configuration_are_as_many() {
    let part = |media_type: &str| Descriptor::new(media_type, Digest::of(b""), 0);
    let mut config = ImageConfig::default();
    let manifest = Manifest::new(part(OCI_CONFIG), vec![part(OCI_LAYER)]);
    assert!(matches!(config.check(&manifest), Err(ConfigError::Layers { named: 0, layers: 1 })));
    config.rootfs.diff_ids.push(Digest::of(b""));
    config.check(&manifest).unwrap();
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        env in proptest::collection::vec(".{0,9}", 0..3),
        cmd in proptest::option::of(proptest::collection::vec(".{0,9}", 0..3)),
        volumes in proptest::collection::btree_set(".{0,9}", 0..3),
        labels in proptest::collection::btree_map(".{0,9}", ".{0,9}", 0..3),
        user in ".{0,9}",
        timeout in proptest::option::of(any::<i64>()),
        unknown in proptest::collection::btree_map("x[a-z]{1,5}", any::<i64>(), 0..3),
    ) {
        let other: BTreeMap<_, _> =
            unknown.into_iter().map(|(key, value)| (key, json!([value]))).collect();
        let config = Config {
            env, cmd, volumes, labels, user, stop_timeout: timeout, other: other.clone(),
            ..Config::default()
        };
        let config = ImageConfig { config, other, ..ImageConfig::default() };
        prop_assert_eq!(&round(&config), &config);
        prop_assert_eq!(round(&config).to_bytes().unwrap(), config.to_bytes().unwrap());
    }
}
