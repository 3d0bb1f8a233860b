//! A container's file system: mounts, overlay, devices, masks and `pivot_root(2)`.
//!
//! A plan is a list of [`Step`]s. Each is one thing asked of the kernel, worked out beforehand
//! without privilege, and printable. Applying one is a few raw system calls that neither
//! allocate nor lock, so it is safe in the child of a program with many threads.
//!
//! A root may be hostile: every path inside it is resolved by `openat2(2)` with
//! `RESOLVE_IN_ROOT`, and mounts are made with descriptors (`fsopen(2)`, `open_tree(2)`,
//! `move_mount(2)`), so no symbolic link and no race leads a mount to the host.
//!
//! # Terms
//! - **Mount namespace**: a process' own list of mounts, `mount_namespaces(7)`. **Propagation**
//!   says whether a mount made in one list shows up in the others.
//! - **Root**: the directory tree that is to be the container's `/`. Targets of steps are paths
//!   inside it.
//! - **Overlay**: read-only directories (*lower*) seen as one, with one (*upper*) that takes all
//!   changes.
//! - **Bind**: a file or directory that is seen at a second place as well.
//! - **Mask**: an empty file or directory over one that the container is not to read.
//! - **Scratch**: a small tmpfs for what only the container's mounts refer to. It keeps the
//!   host's paths out of the container's mountinfo.
//! - **Pivot**: swapping the root mount of the namespace. Unlike after `chroot(2)` the host's
//!   tree can then be detached, and there is nothing left to break out to.
//!
//! # Example
//! ```
//! use minidock_fs::{Devices, MountAttr, State, Step};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), minidock_fs::Error> {
//! let plan = [
//!     Step::make_private(true),
//!     Step::scratch(Path::new("/run/demo"), Vec::new())?,
//!     Step::root_bind(Path::new("/srv/alpine"), false)?,
//!     Step::mount("proc", "proc", Path::new("/proc"), &[], MountAttr::NOSUID)?,
//!     Step::dev_nodes(&Devices::standard())?,
//!     Step::pivot_root(),
//! ];
//! assert_eq!(plan[3].to_string(), "mount proc on /proc (nosuid)");
//!
//! // For a thread or process that has a mount namespace of its own:
//! let enter = |state: &mut State| plan.iter().try_for_each(|step| step.apply(state));
//! # let _: &dyn Fn(&mut State) -> std::io::Result<()> = &enter;
//! # Ok(())
//! # }
//! ```
//!
//! # Order
//! Propagation → scratch → root (overlay or bind) → file systems and binds, upper ones before
//! those below them → device nodes → masks, read-only paths and sysctls → read-only root →
//! pivot → working directory. Up to the pivot the host's paths are still there for binds to
//! come from; after it nothing is. A step that misses one that it needs says EBADF.
//!
//! # From outside
//! [`Root`] looks things up and reads files in a root without being led astray, [`remove_tree`]
//! removes what a container has written, [`FileNode`] reads and makes files in a tree that strangers
//! may change, [`Descent`] is the way through one of any depth, [`parse_mountinfo`] tells what is
//! mounted.
//!
//! # Needs
//! Linux 5.12 (`mount_setattr(2)`) on a 64-bit machine, and a mount namespace of one's own.
//! Mounting takes CAP_SYS_ADMIN in the user namespace that owns it, device nodes CAP_MKNOD in the
//! initial one ([`Step::dev_bind`] does without). An overlay in a user namespace takes
//! [`Overlay::userxattr`]. `/proc` of the host must be mounted for an overlay.
//!
//! # What it does not do
//! It makes no process and no namespace, chooses no mounts (which paths to mask is its caller's
//! policy), changes no file's owner ([`Tree`] shows files under other ids without), and loads no
//! security label. A new root alone confines nobody: that takes the other namespaces, fewer capabilities and a filter
//! of system calls.

#[allow(unsafe_code)]
mod sys;

mod bind;
mod chdir;
mod descent;
mod dev;
mod error;
mod flags;
mod inside;
mod kernel;
mod layered;
mod make;
mod mask;
mod merged;
mod mount;
mod mountinfo;
mod node;
mod overlay;
mod path;
mod remove;
mod root;
mod scratch;
mod state;
mod step;
mod sysctl;
mod target;
mod text;
mod tree;

pub use bind::{Bind, Source};
pub use chdir::Chdir;
pub use descent::Descent;
pub use dev::{DevBind, DevNodes, Devices, Node, NodeKind};
pub use error::Error;
pub use flags::{MountAttr, Propagation};
pub use inside::{Entry, Kind, Root};
pub use mask::{Mask, ReadOnly, Seal};
pub use mount::Mount;
pub use mountinfo::{MountInfo, parse_mountinfo};
pub use node::{FileNode, Meta, NodeType, shown};
pub use overlay::{Overlay, RootOverlay};
pub use remove::{Removal, remove_tree, remove_tree_at};
pub use root::{PivotRoot, RootBind, RootPropagation, RootReadOnly};
pub use scratch::{Scratch, ScratchFile};
pub use state::State;
pub use step::Step;
pub use sysctl::Sysctl;
pub use tree::{Hold, RootTree, Tree};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
