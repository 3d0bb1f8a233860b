//! The minidock engine: options to specification to plan to container.
//!
//! ```text
//! RunOptions ─(+ image)─► OCI Spec ─► lower (pure) ─► Plan { host, child } ─► launch ─► supervise
//! ```
//!
//! Everything that will be asked of the kernel is first worked out as data. The same plan is
//! printed by a dry run, explained step by step, and carried out: partly by this process, partly
//! by the container's first process between its clone and its exec.
//!
//! ```no_run
//! use minidock_engine::{Engine, Reporting, RootSource, RunOptions};
//!
//! # fn main() -> Result<(), minidock_engine::Error> {
//! let engine = Engine::new("/var/lib/minidock".into(), "/run/minidock".into());
//! let mut options = RunOptions::new(RootSource::Image("alpine".to_owned()));
//! options.command = vec!["hostname".to_owned()];
//! let code = engine.run(&options, Reporting::default())?;
//! assert_eq!(code, 0);
//! # Ok(())
//! # }
//! ```

mod about;
mod address;
mod adrift;
mod again;
mod archive;
mod as_text;
mod attach;
mod bound;
mod charge;
mod child;
mod connect;
mod console;
mod containers;
mod control;
mod copy;
mod create;
mod detach;
mod diagnose;
mod diff;
mod disk;
mod ending;
mod endpoints;
mod engine;
mod error;
mod events;
mod exec;
mod executed;
mod explain;
mod failpoints;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
mod health;
mod host;
mod id;
mod ids;
mod images;
mod inventory;
mod joining;
mod known;
mod launch;
mod lifecycle;
mod links;
mod locks;
mod login;
mod logs;
mod lower;
mod marks;
mod monitor;
mod name_server;
mod network;
mod networks;
mod options;
mod plan;
#[cfg(test)]
mod plan_snapshots;
mod processes;
mod prune;
mod pull;
mod push;
mod reboot;
mod relay;
mod reload;
mod rename;
mod repair;
mod reserve;
mod resolver;
mod rollback;
mod run;
mod seal;
mod settle;
mod shell;
mod signals;
mod size;
mod spec;
mod start;
mod state;
mod stats;
mod stdio;
mod store;
mod subids;
mod supervise;
mod survivor;
#[allow(unsafe_code)]
mod sys;
mod terminal;
mod text;
pub mod time;
mod topology;
mod transfer;
mod unpacking;
mod unstopped;
mod update;
mod usage;
mod user_mode;
mod view;
mod waiting;

pub use about::{About, CgroupMode, Platform};
pub use address::{Address, Connections};
pub use attach::{AttachOptions, Attached};
pub use copy::CopyOptions;
pub use detach::Keys;
pub use diff::{Change, ChangeKind};
pub use disk::{ContainerUsage, DiskUsage, ImageUsage, VolumeUsage};
pub use endpoints::PortBinding;
pub use engine::Engine;
pub use error::{Error, Kind};
pub use events::{Actor, Event, EventQuery};
pub use exec::ExecOptions;
#[cfg(feature = "failpoints")]
pub use failpoints::FAILPOINTS;
pub use health::{Health, HealthProbe, HealthStatus, Healthcheck};
pub use id::ContainerId;
pub use images::{ArchiveFormat, ImageDetails, ImageLayer, ImportOptions, LoadedImage};
pub use inventory::{Item, Owner};
pub use known::{Info, State, Status};
pub use lifecycle::*;
pub use login::DEFAULT_REGISTRY;
pub use logs::{LogDriver, LogEntry, LogOptions, LogQuery, LogStream};
pub use minidock_image::config::{History as ImageStep, ImageConfig};
pub use minidock_image::store::{ImageSummary, Pruned as PrunedImages, Removed as RemovedImage};
pub use minidock_image::{Digest, Reference, Step};
pub use minidock_net::{
    DEFAULT_MTU, Family, InterfaceAddr, Link, LinkName, Mac, PortMapping, PortRange, PortSyntax,
    Protocol, PublishedPort, Subnet,
};
pub use network::*;
pub use networks::{
    DEFAULT_STATE, Network, NetworkMember, NetworkOptions, NetworkSubnet, PLAIN_NETWORKS,
    PrunedNetworks,
};
pub use options::*;
pub use processes::{ProcessInfo, Processes};
pub use prune::Pruned;
pub use pull::PullOptions;
pub use seal::seal;
pub use signals::number as signal_number;
pub use spec::{Described, MountKind, MountPoint};
pub use stats::Usage;
pub use topology::{
    Attachment, Device, Finding, Found, Listener, NameServer, Namespace, Port, PublishedPorts,
    Rule, Topology, Wires, Wiring,
};
pub use transfer::{Transfer, Transfers};
pub use update::Update;
pub use user_mode::UserMode;
