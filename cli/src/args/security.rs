use clap::Args;
use minidock_engine::RunOptions;

use crate::values::security::{self, SecurityOption};

/// Privileges and kernel settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Security")]
pub(super) struct SecurityArgs {
    /// Give all capabilities and devices, and mask nothing
    #[arg(long)]
    privileged: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Set an option: no-new-privileges
    #[arg(long, value_name = "OPTION", value_parser = security::security_option)]
    security_opt: Vec<SecurityOption>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE", value_parser = security::sysctl)]
    sysctl: Vec<(String, String)>,
}

impl SecurityArgs {
    pub(super) fn fill(self, options: &mut RunOptions) {
        options.privileged = self.privileged;
        options.cap_add = self.cap_add;
        options.cap_drop = self.cap_drop;
        for option in self.security_opt {
            match option {
                SecurityOption::NoNewPrivileges(wanted) => options.no_new_privileges = wanted,
                SecurityOption::Unconfined => {}
            }
        }
        options.sysctls = self.sysctl;
    }
}
