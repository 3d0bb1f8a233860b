use clap::Args;
use minidock_engine::{RunOptions, SystemCalls, UserNamespace};

use super::Problem;
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
    /// Set an option: no-new-privileges, seccomp=unconfined or seccomp=FILE
    #[arg(long, value_name = "OPTION", value_parser = security::security_option)]
    security_opt: Vec<SecurityOption>,
    /// Narrow everything down: fewer capabilities, no new privileges, a read-only root, a user
    /// namespace where possible
    #[arg(long)]
    hardened: bool,
    /// Use the host's user namespace, or one with ids of its own: host or auto
    #[arg(long, value_name = "MODE", value_parser = security::user_namespace)]
    userns: Option<UserNamespace>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE", value_parser = security::sysctl)]
    sysctl: Vec<(String, String)>,
}

impl SecurityArgs {
    pub(super) fn fill(self, options: &mut RunOptions) -> Result<(), Problem> {
        options.privileged = self.privileged;
        options.cap_add = self.cap_add;
        options.cap_drop = self.cap_drop;
        for option in self.security_opt {
            match option {
                SecurityOption::NoNewPrivileges(wanted) => options.no_new_privileges = wanted,
                SecurityOption::DefaultSystemCalls => options.system_calls = SystemCalls::Default,
                SecurityOption::AllSystemCalls => options.system_calls = SystemCalls::Unconfined,
                SecurityOption::SystemCalls(file) => {
                    let profile = security::profile(&file).map_err(|error| {
                        Problem::Value("security-opt", format!("seccomp={file}"), error)
                    })?;
                    options.system_calls = SystemCalls::Profile(profile);
                }
                SecurityOption::Unconfined => {}
            }
        }
        options.hardened = self.hardened;
        options.user_namespace = self.userns;
        options.sysctls = self.sysctl;
        Ok(())
    }
}
