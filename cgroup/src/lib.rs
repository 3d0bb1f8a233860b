//! Control groups for containers: limits, statistics, freeze, kill and out-of-memory events, the
//! same on cgroup v1, v2 and hybrid hosts.
//!
//! # Terms
//! - A **control group** (cgroup) is a set of processes, and a directory of a special file system.
//! - A **controller** limits or counts one resource: `memory`, `pids`, `cpu` …
//! - A **hierarchy** is one tree of groups. **v1** has a tree for each set of controllers, **v2**
//!   one unified tree; a **hybrid** host has v1 trees and beside them a unified tree that has few
//!   controllers or none. See cgroups(7).
//!
//! # The way through
//! [`Hierarchies::detect`] looks at the host. [`Plan::new`] works out, without touching anything,
//! which directories and writes a container's [`Limits`] need there. [`Cgroup`] carries the plan
//! out, in one go ([`Cgroup::create`]) or step by step, and handles the processes afterwards.
//!
//! ```no_run
//! use minidock_cgroup::{Bound, Cgroup, Hierarchies, Limits, Plan};
//!
//! let hierarchies = Hierarchies::detect()?;
//! let limits = Limits { memory: Some(Bound::At(64 << 20)), ..Limits::default() };
//! let plan = Plan::new(&hierarchies, None, "demo", &limits)?;
//! plan.settings().iter().for_each(|setting| println!("{setting}"));
//! let cgroup = Cgroup::create(&plan)?;
//! cgroup.attach(std::process::id())?;
//! println!("{:?} bytes in use", cgroup.stats()?.memory_usage);
//! # Ok::<(), minidock_cgroup::Error>(())
//! ```
//!
//! # A new process
//! The cheapest way into the groups, without the RCU waits of a write to `cgroup.procs`:
//! clone3(2) with [`Cgroup::spawn_fd`] for v2 and the unified tree, and on v1 and hybrid hosts
//! [`attach_self`] in the child with the descriptors of [`Cgroup::attach_files`].
//!
//! # Strictness
//! Every limit is read back after it was written. A limit whose controller is absent is an error
//! before anything is made. Nothing outside of the container's own directories is changed, except
//! that on v2 the groups above must distribute the controllers (`cgroup.subtree_control`), which is
//! part of the plan and of what it prints.
//!
//! # Needs
//! Linux 5.12 or newer; root, or a parent group that was delegated to the user. On hosts where
//! systemd manages v2, pass a delegated group as the parent if systemd is to leave it alone.
//!
//! # What it does not do
//! It talks to no service manager, mounts nothing, waits for no process and removes no group by
//! itself: [`Cgroup`] has no `Drop`.

mod backend;
mod bpf;
mod cgroup;
mod delegation;
mod devices;
mod directory;
mod error;
mod file;
mod hierarchy;
mod hybrid;
mod limits;
mod mountinfo;
mod plan;
mod rules;
mod setting;
mod stats;
#[allow(unsafe_code)]
mod sys;
mod update;
mod v1;
mod v2;

pub use bpf::DeviceProgram;
pub use cgroup::{Cgroup, attach_self};
pub use devices::{DeviceAccess, DeviceKind, DeviceRule};
pub use directory::prune_parents;
pub use error::Error;
pub use hierarchy::{Hierarchies, Hierarchy, Mode, Version};
pub use limits::{Bound, Limits, Throttle, ThrottleKind, io_weight_from_blkio, weight_from_shares};
pub use plan::{CgroupMount, Plan};
pub use setting::Setting;
pub use stats::Stats;
