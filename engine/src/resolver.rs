//! Whom a container that runs asks for names, when its networks change: `/etc/resolv.conf`, as long as
//! nobody in the container has changed it.

use std::io::{Read, Write};
use std::path::Path;

use minidock_fs::FileNode;
use minidock_ns::Process;

use crate::endpoints::Endpoints;
use crate::explain::Reporter;
use crate::host::Host;
use crate::{Error, Explain, RunOptions, spec};

const FILE: &str = "/etc/resolv.conf";

/// More than this the engine never writes.
const LONGEST: u64 = 64 << 10;

/// Writes the file anew. What keeps it from that is told: the container is on its networks all the
/// same.
pub(crate) fn refresh(
    process: &Process,
    options: &RunOptions,
    (before, after): (&Endpoints, &Endpoints),
) {
    if let Err(error) = rewrite(process, options, (before, after)) {
        Reporter::new(Explain::Off).warn(&error.to_string());
    }
}

fn rewrite(
    process: &Process,
    options: &RunOptions,
    (before, after): (&Endpoints, &Endpoints),
) -> Result<(), Error> {
    let host = Host::read()?;
    let text = |endpoints: &Endpoints| spec::servers(options, &host, &endpoints.list);
    let (old, new) = (text(before), text(after));
    if old == new {
        return Ok(());
    }
    let failed =
        |error: std::io::Error| Error::io("write", format!("{FILE} in the container"), &error);
    let root = FileNode::directory(Path::new(&format!("/proc/{}/root", process.pid())))?;
    let root = process.unless_ended(root)?;
    let Some(file) = root.resolve(Path::new(FILE)).map_err(failed)? else { return Ok(()) };
    let mut found = Vec::new();
    file.read().and_then(|file| file.take(LONGEST).read_to_end(&mut found)).map_err(failed)?;
    // Another one belongs to the container.
    if found != old.as_bytes() {
        return Ok(());
    }
    file.overwrite().and_then(|mut file| file.write_all(new.as_bytes())).map_err(failed)
}
