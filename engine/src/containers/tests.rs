use super::*;
use crate::RootSource;

#[test]
fn what_is_written_is_read() {
    let root = tempfile::tempdir().unwrap();
    let containers = Containers::new(root.path().to_owned());
    let id = ContainerId::random().unwrap();
    assert_eq!(containers.ids().unwrap(), []);
    assert!(containers.config(&id).unwrap().is_none());
    fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    containers.prepare().unwrap();
    let config = Config {
        id: id.clone(),
        name: "web".to_owned(),
        image: "alpine".to_owned(),
        created: 1,
        command: Vec::new(),
        stop_signal: 15,
        options: RunOptions::new(RootSource::Image("alpine".to_owned())),
        base: None,
        described: Described::default(),
    };
    containers.write_config(&config, true).unwrap();
    assert_eq!(containers.config(&id).unwrap(), Some(config));
    assert_eq!(containers.ids().unwrap(), std::slice::from_ref(&id));
    let file = containers.directory(&id).join(CONFIG);
    fs::write(&file, "{").unwrap();
    let error = containers.config(&id).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn only_half_written_files_are_drafts() {
    assert!(is_draft("config.json.12", CONFIG));
    for other in ["config.json", "config.json.", "config.json.x", "outcome.json.12", "12"] {
        assert!(!is_draft(other, CONFIG), "{other}");
    }
}

#[test]
fn a_name_has_one_owner() {
    let root = tempfile::tempdir().unwrap();
    let containers = Containers::new(root.path().to_owned());
    fs::create_dir(containers.names()).unwrap();
    let (one, two) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
    assert!(containers.conflict("web").is_none());
    assert!(containers.take_name("web", &one).unwrap());
    let conflict = containers.conflict("web").unwrap().to_string();
    assert!(conflict.ends_with(&format!("by container \"{one}\"")), "{conflict}");
    assert!(!containers.take_name("web", &two).unwrap());
    containers.free_name("web", &two).unwrap();
    assert_eq!(containers.owner("web"), Some(one.clone()));
    containers.free_name("web", &one).unwrap();
    assert_eq!(containers.owner("web"), None);
    assert_eq!(containers.owner("../names/web"), None);
}
