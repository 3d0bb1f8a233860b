//! Running a layout, and judging what came of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use minidock_image::manifest::{Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use minidock_image::store::LayerRecord;
use minidock_tests::{
    CANARY, Canary, Entry, Output, SECRET, Sandbox, Tree, differences, require_virtual_machine,
    snapshot,
};
use serde_json::{Value, json};

/// Longer than any of them takes on an emulated processor; what gets here hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Stands in flags for a directory of the host that is given to the container.
const VOLUME: &str = "{volume}";

/// A root file system, perhaps a volume, and how to run it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) name: String,
    pub(crate) root: Vec<Entry>,
    pub(crate) volume: Vec<Entry>,
    pub(crate) flags: Vec<String>,
    /// What the payload looks at in particular.
    pub(crate) place: String,
    /// The command; the payload when there is none.
    pub(crate) command: Vec<String>,
    /// The `config` of an image that is made of the root file system.
    pub(crate) image: Option<Value>,
}

impl Layout {
    pub(crate) fn new(name: impl Into<String>, root: Vec<Entry>) -> Layout {
        Layout {
            name: name.into(),
            root,
            volume: Vec::new(),
            flags: Vec::new(),
            place: "/".to_owned(),
            command: Vec::new(),
            image: None,
        }
    }

    pub(crate) fn flags(mut self, flags: &[&str]) -> Layout {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    /// A directory name, by which a message about a run shows which one it was.
    fn directory(&self) -> String {
        self.name.replace(' ', "-").replace('/', "+")
    }
}

/// Tries to change and to read what belongs to the host, on every way that it knows, and says
/// `KEPT` at its end. `$1` is the canary's path, `$2` the layout's place; neither has blanks. It
/// waits for nothing: it touches no pipe, and nothing large. It starts few programs, because an
/// emulated processor takes long over each.
const PAYLOAD: &str = r#"
b=/bin/busybox
for f in core_pattern hostname domainname modprobe sysrq; do
  [ -e /proc/sys/kernel/$f ] && (: >> /proc/sys/kernel/$f) 2>/dev/null && echo OPENED $f
done
for f in /proc/sys/vm/overcommit_memory /proc/sysrq-trigger /sys/kernel/uevent_helper; do
  [ -e $f ] && (: >> $f) 2>/dev/null && echo OPENED $f
done
[ -d /proc/self ] || echo OPENED nothing, there is no /proc
place=$2
[ -f "$2" ] && [ "$($b stat -Lc %s "$2")" -gt 1000000 ] && place=
all= files= made=
for t in $place $2/made $1 $1/file $1/private $1/directory/inner/file /proc/1/root$1/file \
    /proc/self/cwd/../../../..$1/file /etc/hosts /etc/hostname /etc/resolv.conf /dev/shm/x /made; do
  [ -p $t ] || [ -b $t ] || [ -c $t ] && continue
  all="$all $t" made="$made $t/owned"
  [ -f $t ] && files="$files $t"
done
{
  [ -n "$files" ] && $b head -c 200 $files
  for t in $all; do
    echo owned >> $t
    [ -d $t ] && $b ln -s x $t/link
  done
  $b mkdir -p $made
  $b chmod 777 $all
  $b chown 1:1 $all
  $b touch -d @0 $all
} 2>/dev/null
[ -b "$2" ] && $b head -c 64 "$2" > /dev/null 2>&1 && echo OPENED a disk
$b head -c 64 /proc/kcore 2>/dev/null
$b rm -rf "$1" 2>/dev/null
echo KEPT
"#;

/// Runs all layouts, one after the other, and fails with a list of those that did not stay inside.
///
/// # Panics
/// Outside the virtual machine; when one does not end.
pub(crate) fn all_stay_inside(layouts: &[Layout]) {
    require_virtual_machine();
    assert!(layouts.len() >= 10, "only {} layouts", layouts.len());
    let sandbox = Sandbox::without_images();
    let (mut ran, mut failures) = (0, Vec::new());
    for layout in layouts {
        match run(&sandbox, layout) {
            Ok(code) => ran += usize::from(code == 0),
            Err(what) => failures.push(format!("{}: {what}", layout.name)),
        }
    }
    let refused = layouts.len() - ran - failures.len();
    println!("{} layouts: {ran} ran, {refused} were refused", layouts.len());
    assert!(
        failures.is_empty(),
        "{} did not stay inside:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(ran > 0, "none of them ran");
}

/// Runs one layout; its exit code, or what went wrong.
fn run(sandbox: &Sandbox, layout: &Layout) -> Result<i32, String> {
    let canary = Canary::plant(sandbox);
    let (root, reference) = place_of_root(sandbox, layout);
    base(&root);
    let tree = Tree::make(&root, &layout.root, canary.path());
    let volume = sandbox.path().join("volume");
    let mut entries = vec![Entry::File("/file".to_owned(), "a file of the volume\n".to_owned())];
    entries.extend(layout.volume.iter().cloned());
    let shared = Tree::make(&volume, &entries, canary.path());
    // A directory is the container's own to write to, an image is not.
    let before = layout.image.is_some().then(|| snapshot(&root));

    let text = |path: &Path| path.display().to_string();
    let fill =
        |flag: &String| flag.replace(VOLUME, &text(&volume)).replace(CANARY, &text(canary.path()));
    let mut arguments = vec!["--network".to_owned(), "none".to_owned()];
    arguments.extend(layout.flags.iter().map(fill));
    arguments.extend(reference);
    match (&layout.image, layout.command.is_empty()) {
        (_, false) => arguments.extend(layout.command.iter().map(fill)),
        (Some(config), true) if config.get("Cmd").is_some() => {}
        _ => arguments.extend(payload(canary.path(), &layout.place)),
    }
    let output = sandbox.prepare_run(&arguments).timeout(LIMIT).output();
    sandbox.assert_clean();
    let mut changes = canary.changes();
    changes.extend(before.iter().flat_map(|before| differences(before, &snapshot(&root))));
    drop((tree, shared));
    fs::remove_dir_all(&root).expect("removing a tree");
    fs::remove_dir_all(&volume).expect("removing a volume");
    match judge(&output) {
        _ if !changes.is_empty() => Err(format!("changed: {}\n{output}", changes.join("; "))),
        Err(what) => Err(format!("{what}\n{output}")),
        Ok(()) => Ok(output.code()),
    }
}

/// Where the root file system goes, and how a command line names it.
fn place_of_root(sandbox: &Sandbox, layout: &Layout) -> (PathBuf, Vec<String>) {
    let Some(config) = &layout.image else {
        let root = sandbox.path().join(layout.directory());
        let flag = vec!["--rootfs".to_owned(), root.display().to_string()];
        return (root, flag);
    };
    let store = sandbox.images();
    // What its archive would be is nobody's business: the layer is there.
    let (diff_id, size) = store.put_blob(layout.name.as_bytes()).expect("a layer");
    let root = store.layer_path(&diff_id);
    let record = LayerRecord { diff_id, size, entries: 1, opaque: false };
    store.new_layer().and_then(|layer| layer.commit(record)).expect("a layer");
    let canary = sandbox.path().join("canary").display().to_string();
    let document = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
    });
    let document = document.to_string().replace(CANARY, &canary);
    let (id, length) = store.put_blob(document.as_bytes()).expect("a configuration");
    let layers = vec![Descriptor::new(OCI_LAYER, diff_id, size)];
    let manifest = Manifest::new(Descriptor::new(OCI_CONFIG, id, length), layers);
    let manifest = serde_json::to_vec(&manifest).expect("a manifest");
    let (digest, length) = store.put_blob(&manifest).expect("a manifest");
    let name = "hostile".parse().expect("a name");
    store.tag(&[name], &Descriptor::new(OCI_MANIFEST, digest, length)).expect("an image");
    (root, vec!["hostile".to_owned()])
}

pub(crate) fn payload(canary: &Path, place: &str) -> Vec<String> {
    let words = ["/bin/busybox", "sh", "-c", PAYLOAD, "payload"].map(str::to_owned);
    words.into_iter().chain([canary.display().to_string(), place.to_owned()]).collect()
}

/// What the payload needs: the shell of the virtual machine's own root, and its loader.
fn base(root: &Path) {
    fs::create_dir_all(root.join("bin")).expect("a directory");
    fs::create_dir_all(root.join("lib")).expect("a directory");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("the shell");
    for entry in fs::read_dir("/lib").expect("the libraries").flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with("ld-musl") || text.starts_with("libc.musl") {
            fs::copy(entry.path(), root.join("lib").join(&name)).expect("the loader");
        }
    }
}

/// The run was refused in one line, or the payload came to its end and was let nowhere.
fn judge(output: &Output) -> Result<(), String> {
    let Some(code) = output.status.code() else { return Err("ended by a signal".to_owned()) };
    let all = [output.stdout.as_str(), &output.stderr].concat();
    if all.contains(SECRET) {
        return Err("the container has read what only the host knows".to_owned());
    }
    if all.contains("panicked") || all.contains("RUST_BACKTRACE") {
        return Err("a panic".to_owned());
    }
    match code {
        0 if all.contains("OPENED") => Err("the container was let at the kernel".to_owned()),
        0 if output.stdout.contains("KEPT") => Ok(()),
        0 => Err("a success without the payload".to_owned()),
        125..=127 => refusal(&output.stderr),
        _ => Err(format!("the exit code {code}")),
    }
}

/// `minidock: …`, in one line that steers no terminal; a second one may point to the help.
fn refusal(text: &str) -> Result<(), String> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    let help = rest.iter().all(|line| line.starts_with("Run 'minidock run --help'"));
    let words = first.strip_prefix("minidock: ").unwrap_or_default();
    if words.is_empty() || !help || rest.len() > 1 {
        return Err("a refusal that is not one line".to_owned());
    }
    if words.chars().any(char::is_control) || words.len() > 2000 {
        return Err("a refusal that could steer a terminal, or fill it".to_owned());
    }
    Ok(())
}

/// A trial of nothing: with the host's root given to the container, each guard must speak up.
pub(crate) fn a_container_that_is_let_out_is_seen() {
    require_virtual_machine();
    let sandbox = Sandbox::without_images();
    let canary = |layout: &Layout| run(&sandbox, layout).expect_err("a container that was let out");
    let mut layout = Layout::new("let out", Vec::new());
    layout.flags =
        ["--mount", "type=bind,source={canary},target={canary}"].map(str::to_owned).into();
    assert!(canary(&layout).contains("changed: "), "the canary was not looked at");
    layout.flags = vec!["--privileged".to_owned()];
    assert!(canary(&layout).contains("let at the kernel"), "the kernel's files were not tried");
    layout.flags = ["-v", "{canary}:/look:ro"].map(str::to_owned).into();
    layout.command = ["/bin/busybox", "cat", "/look/file"].map(str::to_owned).into();
    assert!(canary(&layout).contains("only the host knows"), "the output was not looked at");
    layout.command = ["/bin/busybox", "false"].map(str::to_owned).into();
    assert!(canary(&layout).contains("exit code 1"), "the exit code was not looked at");
    assert_eq!(run(&sandbox, &Layout::new("kept inside", Vec::new())), Ok(0));
}
