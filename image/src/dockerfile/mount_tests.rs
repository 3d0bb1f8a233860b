use super::super::expand::Budget;
use super::*;

fn read(text: &str) -> Result<Mount, String> {
    let mut budget = Budget::default();
    let lookup = |name: &str| (name == "D").then_some("/data");
    let mut expander = Expander { lookup: &lookup, escape: '\\', budget: &mut budget };
    MountSpec::new(text)?.read(&mut expander)
}

#[test]
fn a_bind_is_the_default_and_cannot_be_written_to() {
    let bind = |target: &str, source: &str, from: Option<&str>, writable| Mount::Bind {
        target: target.to_owned(),
        source: source.to_owned(),
        from: from.map(str::to_owned),
        writable,
    };
    assert_eq!(read("target=/x"), Ok(bind("/x", "/", None, false)));
    assert_eq!(read("type=bind,from=a,src=/b,dst=/c,rw"), Ok(bind("/c", "/b", Some("a"), true)));
    assert_eq!(read("destination=$D/x,ro=false"), Ok(bind("/data/x", "/", None, true)));
    assert_eq!(read("\"target=/a,b\",from="), Ok(bind("/a,b", "/", None, false)));
}

#[test]
fn a_cache_has_its_target_as_its_name() {
    let cache = |id: &str, sharing, mode, uid| Mount::Cache {
        id: id.to_owned(),
        target: "/c".to_owned(),
        source: "/".to_owned(),
        from: None,
        readonly: false,
        sharing,
        mode,
        uid,
        gid: 0,
    };
    assert_eq!(read("type=cache,target=/c"), Ok(cache("/c", Sharing::Shared, 0o755, 0)));
    assert_eq!(
        read("type=cache,target=/c,id=$D,sharing=locked,mode=0700,uid=1000"),
        Ok(cache("/data", Sharing::Locked, 0o700, 1000))
    );
}

#[test]
fn memory_and_secrets() {
    assert_eq!(
        read("type=tmpfs,target=/t,size=64m"),
        Ok(Mount::Tmpfs { target: "/t".to_owned(), size: Some(64 << 20) })
    );
    let secret = |target: Option<&str>, env: Option<&str>, required| Mount::Secret {
        id: "npm".to_owned(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required,
        mode: 0o400,
        uid: 0,
        gid: 0,
    };
    let default = Some("/run/secrets/npm");
    assert_eq!(read("type=secret,id=npm"), Ok(secret(default, None, false)));
    assert_eq!(read("type=secret,source=npm,required"), Ok(secret(default, None, true)));
    assert_eq!(read("type=secret,id=npm,env=T"), Ok(secret(None, Some("T"), false)));
    assert_eq!(
        read("type=secret,target=/root/npm,required=true"),
        Ok(secret(Some("/root/npm"), None, true))
    );
}

#[test]
fn sizes_have_units() {
    for (text, size) in [("0", 0), ("10b", 10), ("2K", 2048), ("1GiB", 1 << 30), ("1 mb", 1 << 20)]
    {
        assert_eq!(bytes(text), Ok(size), "{text}");
    }
    for bad in ["", "k", "-1", "1x", "1.5g", "99999999999999t"] {
        assert!(bytes(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_wrong_is_said_before_the_build() {
    for (text, expected) in [
        ("type=bnd,target=/x", "did you mean bind?"),
        ("type=bind,targt=/x", "did you mean target?"),
        ("type=bind", "needs a target"),
        ("type=cache,target=", "needs a target"),
        ("type=bind,target=/x,size=1", "takes no option size"),
        ("type=tmpfs,target=/x,from=a", "takes no option from"),
        ("type=secret", "needs an id"),
        ("type=secret,id=a,src=b", "the same"),
        ("type=secret,id=a,uid=x", "uid is a number"),
        ("type=secret,id=a,mode=9", "octal"),
        ("type=secret,id=a,mode=77777", "octal"),
        ("type=cache,target=/x,uid=+1", "uid is a number"),
        ("type=cache,target=/x,sharing=all", "sharing is"),
        ("type=bind,target=/x,ro,rw", "exclude"),
        ("type=bind,target=/x,ro=yes", "true or false"),
        ("type=bind,target=/x,dst=/y", "twice"),
        ("target", "needs a value"),
        ("from=$X,target=/x", "takes no variables"),
        ("\"a", "quote"),
        ("", "knows no option"),
    ] {
        let error = MountSpec::new(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn variables_are_checked_when_they_have_values() {
    assert!(read("type=$D,target=/x").unwrap_err().contains("no type \"/data\""));
    assert!(read("type=cache,target=/x,uid=$D").unwrap_err().contains("uid is a number"));
    assert!(read("type=tmpfs,target=$N").unwrap_err().contains("needs a target"));
}

#[test]
fn ssh_is_refused_only_when_it_is_used() {
    assert!(MountSpec::new("type=ssh").is_ok());
    assert!(read("type=ssh,id=default,required").unwrap_err().contains("no agent"));
    assert!(MountSpec::new("type=ssh,source=/x").is_err());
}
