use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::helper::tests::install;
use super::*;

fn password(user: &str, password: &str) -> Login {
    Login::Password { user: user.to_owned(), password: password.to_owned() }
}

fn in_file(text: &str) -> (tempfile::TempDir, Credentials) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs::write(&file, text).unwrap();
    let helpers = Some(dir.path().to_owned());
    (dir, Credentials { files: vec![file], helpers, ..Credentials::none() })
}

#[test]
fn the_environment_says_which_files() {
    let files = |set: &[(&str, &str)]| {
        let variable = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value))
        };
        let files = Credentials::of_environment(&variable).files;
        files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        files(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]),
        ["/h/.docker/config.json", "/r/containers/auth.json"]
    );
    assert_eq!(
        files(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/a")]),
        ["/a", "/d/config.json"]
    );
    assert!(files(&[("HOME", "")]).is_empty());
}

#[test]
fn a_login_is_found_under_all_its_names() {
    let auth = |text: &str| BASE64_STANDARD.encode(text);
    let (_dir, credentials) = in_file(&format!(
        r#"{{"auths": {{
            "https://index.docker.io/v1/": {{"auth": "{}"}},
            "https://old.example/v2/": {{"auth": "{}"}},
            "quay.example": {{"auth": "{}"}},
            "quay.example/team": {{"auth": "{}"}},
            "token.example": {{"auth": "eDp5", "identitytoken": "t"}},
            "broken.example": {{"auth": "&"}},
            "empty.example": {{}}}}}}"#,
        auth("hub:a:b"),
        auth("old:p"),
        auth("all:p"),
        auth("team:p\0\0"),
    ));
    let find = |registry, repository| credentials.find(registry, repository).unwrap();
    assert_eq!(find("docker.io", "library/a"), Some(password("hub", "a:b")));
    assert_eq!(find("old.example", "a"), Some(password("old", "p")));
    assert_eq!(find("quay.example", "teams/a"), Some(password("all", "p")));
    assert_eq!(find("quay.example", "team/a"), Some(password("team", "p")));
    assert_eq!(find("token.example", "a"), Some(Login::IdentityToken("t".to_owned())));
    assert_eq!(find("empty.example", "a"), None);
    assert_eq!(find("example", "a"), None);
    let error = credentials.find("broken.example", "a").unwrap_err().to_string();
    assert!(error.contains(r#"auths."broken.example".auth"#), "{error}");
}

#[test]
fn in_names_of_registries_case_does_not_count() {
    let (dir, credentials) = in_file("{}");
    credentials.login("Reg.Example:5000", "me", "secret").unwrap();
    let found = |credentials: &Credentials, name| credentials.find(name, "a").unwrap();
    for name in ["reg.example:5000", "REG.example:5000"] {
        assert_eq!(found(&credentials, name), Some(password("me", "secret")), "{name}");
        let given = Credentials::none().with("Reg.Example:5000", password("a", "b")).unwrap();
        assert_eq!(found(&given, name), Some(password("a", "b")), "{name}");
    }
    assert!(credentials.logout("reg.example:5000").unwrap());
    assert_eq!(found(&credentials, "Reg.Example:5000"), None);
    drop(dir);
}

#[test]
fn login_and_logout_leave_everything_else_alone() {
    let (dir, credentials) = in_file(r#"{"auths": {"a.example": {"auth": "eDp5"}}, "other": [1]}"#);
    let file = dir.path().join("config.json");
    credentials.login("docker.io", "me", "secret").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(content["other"], json!([1]));
    assert_eq!(content["auths"][DOCKER]["auth"], BASE64_STANDARD.encode("me:secret"));
    assert_eq!(credentials.find("docker.io", "a").unwrap(), Some(password("me", "secret")));
    assert!(credentials.logout("index.docker.io").unwrap());
    assert!(!credentials.logout("docker.io").unwrap());
    let content: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(content, json!({"auths": {"a.example": {"auth": "eDp5"}}, "other": [1]}));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_file_is_made_and_a_link_to_it_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a/b/config.json");
    Credentials::in_files(vec![file.clone()]).login("a.example", "me", "p").unwrap();
    let link = dir.path().join("link");
    symlink(&file, &link).unwrap();
    let by_link = Credentials::in_files(vec![link.clone()]);
    by_link.login("b.example:5000", "me", "p").unwrap();
    assert!(link.is_symlink());
    let credentials = Credentials::in_files(vec![file]);
    assert_eq!(credentials.find("b.example:5000", "a").unwrap(), Some(password("me", "p")));
    assert_eq!(credentials.find("a.example", "a").unwrap(), Some(password("me", "p")));
}

#[test]
fn what_is_no_login_is_not_kept() {
    let (_dir, credentials) = in_file("");
    for (registry, user, password) in [
        ("a.example/b", "me", "p"),
        ("a b", "me", "p"),
        ("a.example", "", "p"),
        ("a.example", "m:e", "p"),
        ("a.example", "me", ""),
    ] {
        assert!(credentials.login(registry, user, password).is_err(), "{registry} {user}");
    }
    assert!(matches!(
        Credentials::none().login("a.example", "me", "p"),
        Err(CredentialsError::Nowhere)
    ));
}

#[test]
fn an_error_tells_no_secret() {
    let (_dir, credentials) = in_file(r#"{"auths": "c2VjcmV0"}"#);
    let error = credentials.find("a.example", "a").unwrap_err().to_string();
    assert!(error.contains("config.json: not understood at line 1"), "{error}");
    assert!(!error.contains("c2VjcmV0"));
    let shown = format!("{:?}", password("me", "secret"));
    assert!(!shown.contains("secret"), "{shown}");
    let given = Credentials::none().with("a.example", password("me", "secret")).unwrap();
    assert!(!format!("{given:?}").contains("secret"));
}

#[test]
fn a_helper_keeps_what_its_files_name() {
    let (dir, credentials) = in_file(
        r#"{"credHelpers": {"a.example": "own"}, "credsStore": "store", "auths": {"c.example": {"auth": "eDp5"}}}"#,
    );
    let kept = dir.path().join("kept");
    let script = format!(
        r#"f='{}'; case $1 in
        store) cat > "$f";;
        get) if [ -e "$f" ]; then cat "$f"; else echo credentials not found in native keychain; exit 1; fi;;
        erase) rm "$f";; esac"#,
        kept.display()
    );
    install(dir.path(), "own", &script);
    let token = r#"read -r url; case $url in
        c.example) echo credentials not found in native keychain; exit 1;;
        *) echo '{"ServerURL":"x","Username":"<token>","Secret":"t"}';; esac"#;
    install(dir.path(), "store", token);
    assert_eq!(credentials.find("a.example", "b").unwrap(), None);
    credentials.login("a.example", "me", "secret").unwrap();
    assert_eq!(credentials.find("a.example", "b").unwrap(), Some(password("me", "secret")));
    let text = fs::read_to_string(dir.path().join("config.json")).unwrap();
    assert!(text.contains(r#""a.example": {}"#) && !text.contains("secret"), "{text}");
    assert!(credentials.logout("a.example").unwrap());
    assert!(!kept.exists());
    let other = credentials.find("b.example", "b").unwrap();
    assert_eq!(other, Some(Login::IdentityToken("t".to_owned())));
    // One that the helper does not know may be in the file.
    assert_eq!(credentials.find("c.example", "b").unwrap(), Some(password("x", "y")));
}
