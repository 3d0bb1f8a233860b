use super::super::tests::check;
use super::*;

fn bind(path: &str, non_recursive: bool) -> MountRequest {
    request(MountSource::Bind { path: path.into(), create: false, non_recursive })
}

fn request(source: MountSource) -> MountRequest {
    MountRequest { source, target: "/b".to_owned(), read_only: false, propagation: None }
}

fn read_only(request: MountRequest) -> MountRequest {
    MountRequest { read_only: true, ..request }
}

#[test]
fn binds() {
    let private = |request| MountRequest { propagation: Some(Propagation::Private), ..request };
    check(
        mount,
        &[
            ("type=bind,source=/a,target=/b", bind("/a", false)),
            ("type=bind,src=./a,dst=/b", bind("./a", false)),
            ("type=bind,src=.,dst=/b", bind(".", false)),
            ("type=bind,src=../a,dst=/b", bind("../a", false)),
            ("Type=BIND,Source=/a,destination=/b,consistency=cached", bind("/a", false)),
            ("type=bind,src=/a,dst=/b,readonly", read_only(bind("/a", false))),
            ("type=bind,src=/a,dst=/b,ro=1", read_only(bind("/a", false))),
            ("type=bind,src=/a,dst=/b,ro,readonly=false", bind("/a", false)),
            ("type=bind,src=/a,dst=/b,bind-recursive=disabled", bind("/a", true)),
            ("type=bind,src=/a,dst=/b,bind-propagation=rprivate", private(bind("/a", false))),
            (
                "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=rprivate",
                private(read_only(bind("/a", false))),
            ),
            ("type=bind,\"src=/a,\"\"1\"\"\",dst=/b", bind("/a,\"1\"", false)),
        ],
        &[
            ("type=bind", "target is required"),
            ("type=bind,target=", "target is required"),
            (
                "type=bind,target=/b",
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                "type=bind,src=a/b,dst=/b",
                "invalid mount config for type \"bind\": invalid mount path: 'a/b' mount path \
                 must be absolute",
            ),
            (
                "type=bind,src=.a,dst=/b",
                "invalid mount config for type \"bind\": invalid mount path: '.a' mount path must \
                 be absolute",
            ),
            ("type=bind,src=/a,dst=b", "invalid mount path: 'b' mount path must be absolute"),
            (
                "type=bind,src=/a,dst=/b,bind-recursive=readonly",
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in \
                 conjunction",
            ),
            (
                "type=bind,src=/a,dst=/b,ro,bind-recursive=readonly",
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be \
                 specified in conjunction",
            ),
            (
                "type=bind,src=/a,dst=/b,bind-recursive=x",
                "invalid value for bind-recursive: x (must be \"enabled\", \"disabled\" or \
                 \"readonly\")",
            ),
            ("type=bind,src=/a,dst=/b,bind-propagation=x", "invalid value for bind-propagation: x"),
            (
                "type=bind,src=/a,dst=/b,tmpfs-size=1m",
                "cannot mix 'tmpfs-*' options with mount type 'bind'",
            ),
        ],
    );
}

#[test]
fn volumes_and_memory_file_systems() {
    let named = |name: &str| request(MountSource::Volume { name: Some(name.to_owned()) });
    let tmpfs = |size: Option<u64>, mode| {
        let size = size.map(TmpfsSize::Bytes);
        let options = TmpfsOptions { size, mode, ..TmpfsOptions::default() };
        request(MountSource::Tmpfs { options })
    };
    check(
        mount,
        &[
            ("source=data,target=/b", named("data")),
            ("type=volume,src=data,dst=/b,ro", read_only(named("data"))),
            ("type=volume,dst=/b", request(MountSource::Volume { name: None })),
            ("type=volume,src=data,dst=/b,volume-nocopy", named("data")),
            ("type=volume,src=data,dst=/b,volume-nocopy=true", named("data")),
            ("type=tmpfs,dst=/b", tmpfs(None, None)),
            ("type=tmpfs,dst=/b,tmpfs-size=0,tmpfs-mode=0", tmpfs(None, None)),
            ("type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=700", tmpfs(Some(1 << 20), Some(0o700))),
        ],
        &[
            ("type=foo,target=/x", "invalid mount config for type \"foo\": mount type unknown"),
            ("type=,target=/x", "type is required"),
            (
                "type=volume,src=d,dst=/b",
                "volume name is too short, names should be at least two alphanumeric characters",
            ),
            (
                "type=tmpfs,src=/a,dst=/b",
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            ("type=tmpfs,dst=/b,tmpfs-size=x", "invalid value for tmpfs-size: x"),
            ("type=tmpfs,dst=/b,tmpfs-mode=8", "invalid value for tmpfs-mode: 8"),
            ("type=volume,dst=/b,volume-nocopy=x", "invalid value for volume-nocopy: x"),
            (
                "type=bind,src=/a,dst=/b,volume-nocopy",
                "cannot mix 'volume-*' options with mount type 'bind'",
            ),
            (
                "type=volume,dst=/b,bind-propagation=shared",
                "cannot mix 'bind-*' options with mount type 'volume'",
            ),
        ],
    );
}

#[test]
fn fields() {
    check(
        |text| mount(text).map(|_| ()),
        &[],
        &[
            ("", "value is empty"),
            ("  ", "value is empty"),
            ("type=bind,nosuch=1", "unexpected key 'nosuch' in 'nosuch=1'"),
            ("type=bind,nosuch", "invalid field 'nosuch' must be a key=value pair"),
            ("type=bind,ro=maybe", "invalid value for ro: maybe"),
            ("type=bind,src=\"a\"", "parse error: bare \" in non-quoted field"),
            ("type=bind,\"src=a", "parse error: extraneous or missing \" in quoted-field"),
            ("\"type=bind\"x", "parse error: extraneous or missing \" in quoted-field"),
        ],
    );
}
