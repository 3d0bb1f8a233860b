use std::path::Path;

use super::*;

const PASSWD: &[u8] = b"\
root:x:0:0:root:/root:/bin/ash
daemon:x:2:2:daemon:/sbin:/sbin/nologin
www:x:82:82:web server:/var/www:/sbin/nologin
1000:x:77:77:a user whose name is a number:/home/n:/bin/sh
www:x:83:83:second entry of the name:/elsewhere:/bin/sh
";
const GROUP: &[u8] = b"\
root:x:0:root
bin:x:1:root,bin,daemon
www:x:82:
media:x:500:daemon,www
render:x:501:www
media:x:999:www
";

fn user(spec: &str) -> Result<User, Error> {
    resolve(spec, PASSWD, GROUP, &[])
}

fn ids(spec: &str) -> (u32, u32, Vec<u32>) {
    let user = user(spec).unwrap();
    (user.uid, user.gid, user.groups)
}

#[test]
fn users_are_found_by_name_and_by_number() {
    assert_eq!(ids(""), (0, 0, vec![0, 1]));
    assert_eq!(ids("root"), (0, 0, vec![0, 1]));
    assert_eq!(ids("0"), (0, 0, vec![0, 1]));
    assert_eq!(ids("www"), (82, 82, vec![82, 500, 501, 999]));
    assert_eq!(ids("82"), (82, 82, vec![82, 500, 501, 999]));
    let www = user("www").unwrap();
    assert_eq!(www.home, Path::new("/var/www"));
    assert_eq!(www.name.unwrap(), "www");
}

#[test]
fn a_number_is_an_id_even_if_a_user_has_that_name() {
    assert_eq!(ids("1000"), (1000, 0, vec![0]));
    assert_eq!(ids("77").0, 77);
}

#[test]
fn a_number_without_entry_has_group_0_and_home_root() {
    let user = user("4711").unwrap();
    assert_eq!((user.uid, user.gid, user.groups), (4711, 0, vec![0]));
    assert_eq!((user.home.as_path(), user.name), (Path::new("/"), None));
}

#[test]
fn a_named_group_replaces_the_memberships() {
    assert_eq!(ids("www:media"), (82, 500, vec![500]));
    assert_eq!(ids("www:4242"), (82, 4242, vec![4242]));
    assert_eq!(ids("4711:www"), (4711, 82, vec![82]));
    assert_eq!(ids(":media"), (0, 500, vec![500]));
    assert_eq!(ids("www:"), ids("www"));
}

#[test]
fn extra_groups_are_added_once() {
    let add: Vec<String> = ["render", "media", "7777", "82"].map(str::to_owned).to_vec();
    let www = resolve("www", PASSWD, GROUP, &add).unwrap();
    assert_eq!(www.groups, [82, 500, 501, 999, 7777]);
    let error = resolve("www", PASSWD, GROUP, &["nope".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "unable to find group nope: no matching entries in group file");
}

#[test]
fn unknown_names_are_refused_in_docker_words() {
    let refusal = |spec| user(spec).unwrap_err().to_string();
    assert_eq!(refusal("foo"), "unable to find user foo: no matching entries in passwd file");
    assert_eq!(refusal("www:foo"), "unable to find group foo: no matching entries in group file");
    assert_eq!(
        resolve("foo", b"", b"", &[]).unwrap_err().to_string(),
        "unable to find user foo: no matching entries in passwd file"
    );
}

#[test]
fn numbers_outside_the_range_never_wrap() {
    for id in ["-1", "-0", "2147483648", "4294967295", "4294967296", "18446744073709551616"] {
        for spec in [id.to_owned(), format!("0:{id}"), format!(":{id}")] {
            assert!(matches!(user(&spec), Err(Error::IdRange(_))), "{spec}");
        }
    }
    assert_eq!(ids("2147483647:2147483647"), (2_147_483_647, 2_147_483_647, vec![2_147_483_647]));
    assert_eq!(ids("0000001").0, 1);
}

#[test]
fn what_only_resembles_a_number_is_a_name() {
    for spec in ["+1", "1_0", "0x10", "1 ", " 1", "١", "1e3", "-", "1."] {
        assert!(matches!(user(spec), Err(Error::UnknownUser(_))), "{spec:?}");
    }
}

#[test]
fn malformed_specifications_are_refused() {
    for spec in ["a:b:c", "::", "0:0:0", "root\0", "root\nx"] {
        assert!(matches!(user(spec), Err(Error::UserSyntax(_))), "{spec:?}");
    }
}

#[test]
fn an_entry_with_a_broken_id_does_not_exist() {
    for id in ["", "x", "-1", "+0", " 0", "0x0", "2147483648", "4294967296", "99999999999999999999"]
    {
        let passwd = format!("evil:x:{id}:0::/:/bin/sh\n");
        assert!(resolve("evil", passwd.as_bytes(), b"", &[]).is_err(), "uid {id:?}");
        let passwd = format!("evil:x:5:{id}::/:/bin/sh\n");
        assert!(resolve("evil", passwd.as_bytes(), b"", &[]).is_err(), "gid {id:?}");
        let group = format!("evil:x:{id}:root\n");
        assert!(resolve("0:evil", b"", group.as_bytes(), &[]).is_err(), "group {id:?}");
        let root = resolve("root", PASSWD, group.as_bytes(), &[]).unwrap();
        assert_eq!(root.groups, [0]);
    }
}

#[test]
fn short_lines_comments_and_garbage_are_passed_over() {
    let passwd = b"\n:\n::\nfoo\n#root:x:0:0::/:\n+::::::\n\xff\xfe:x:1:1::/\xff:\n\
                   nul\0:x:0:0::/:\nwww:x:82:82::/a\0b:\n   ok:x:3:4  \nshort:x:5:6";
    for missing in ["foo", "www", "nul", "+"] {
        assert!(resolve(missing, passwd, b"", &[]).is_err(), "{missing}");
    }
    let ok = resolve("ok", passwd, b"", &[]).unwrap();
    assert_eq!((ok.uid, ok.gid, ok.home.as_path()), (3, 4, Path::new("/")));
    assert_eq!(resolve("short", passwd, b"", &[]).unwrap().uid, 5);
    let bytes = resolve("1", passwd, b"", &[]).unwrap();
    assert_eq!(bytes.name.unwrap().as_bytes(), b"\xff\xfe");
    assert_eq!(bytes.home.as_os_str().as_bytes(), b"/\xff");
}

#[test]
fn huge_lines_are_read_and_huge_files_refused() {
    let mut passwd = b"long:x:1:1:".to_vec();
    passwd.resize(4 << 20, b'a');
    passwd.extend_from_slice(b":/home:/bin/sh\nafter:x:9:9::/:\n");
    assert_eq!(resolve("after", &passwd, b"", &[]).unwrap().uid, 9);
    assert_eq!(resolve("long", &passwd, b"", &[]).unwrap().home, Path::new("/home"));

    let group = format!("big:x:7:{}after\n", "someone,".repeat(100_000));
    assert_eq!(resolve("after", &passwd, group.as_bytes(), &[]).unwrap().groups, [9, 7]);

    let huge = vec![b'a'; MAX_FILE + 1];
    assert!(matches!(resolve("0", &huge, b"", &[]), Err(Error::FileTooLarge { .. })));
    assert!(matches!(resolve("0", b"", &huge, &[]), Err(Error::FileTooLarge { .. })));
}

#[test]
fn more_groups_than_a_process_can_have_are_refused() {
    let group: String = (0..70_000).map(|gid| format!("g{gid}:x:{gid}:www\n")).collect();
    let www = resolve("www", PASSWD, group.as_bytes(), &[]).unwrap();
    assert!(matches!(www.credentials(), Err(Error::TooManyGroups(70_000))));
}

#[test]
fn members_are_compared_whole() {
    let group = b"a:x:1:www2,xwww\nb:x:2:ww,w\nc:x:3: www\nd:x:4:,www,\n";
    assert_eq!(resolve("www", PASSWD, group, &[]).unwrap().groups, [82, 4]);
}
