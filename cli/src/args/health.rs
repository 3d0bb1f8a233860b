use clap::Args;
use minidock_engine::{Healthcheck, RunOptions};

use super::{Problem, given};
use crate::format::duration;
use crate::values::integer;

/// How its health is checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub(super) struct HealthArgs {
    /// Check its health by this line for its shell (the image's)
    #[arg(long, value_name = "LINE")]
    health_cmd: Option<String>,
    /// Time between two checks, such as 1m30s (30s)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    health_interval: Option<i64>,
    /// Failures one after another that make it unhealthy (3)
    #[arg(long, value_name = "NUMBER", value_parser = integer, allow_hyphen_values = true)]
    health_retries: Option<i64>,
    /// Time between two checks during the start period (5s)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    health_start_interval: Option<i64>,
    /// Time in which failures do not count before the first success (0s)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    health_start_period: Option<i64>,
    /// Time that a check may take (30s)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, allow_hyphen_values = true)]
    health_timeout: Option<i64>,
    /// Check nothing, whatever the image says
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthArgs {
    /// What is 0 counts as not given, as in docker.
    pub(super) fn fill(self, options: &mut RunOptions) -> Result<(), Problem> {
        let not_negative = |flag: &str, number: Option<i64>| {
            u64::try_from(number.unwrap_or_default())
                .map_err(|_| Problem::Together(format!("--{flag} cannot be negative")))
        };
        let line = given(self.health_cmd);
        let interval = not_negative("health-interval", self.health_interval);
        let timeout = not_negative("health-timeout", self.health_timeout);
        let retries = not_negative("health-retries", self.health_retries);
        let start_period = not_negative("health-start-period", self.health_start_period);
        let start_interval = not_negative("health-start-interval", self.health_start_interval);
        let numbers = [&interval, &timeout, &retries, &start_period, &start_interval];
        let any = line.is_some() || numbers.iter().any(|number| !matches!(number, Ok(0)));
        if self.no_healthcheck {
            if any {
                let message = "--no-healthcheck conflicts with --health-* options";
                return Err(Problem::Together(message.to_owned()));
            }
            options.lifecycle.health = Some(Healthcheck::none());
        } else if any {
            let check = line.map_or_else(Healthcheck::default, |line| Healthcheck::shell(&line));
            options.lifecycle.health = Some(Healthcheck {
                interval: interval?,
                timeout: timeout?,
                retries: u32::try_from(retries?).unwrap_or(u32::MAX),
                start_period: start_period?,
                start_interval: start_interval?,
                ..check
            });
        }
        Ok(())
    }
}
