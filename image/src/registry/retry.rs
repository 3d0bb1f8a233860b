//! Which place is asked, how often, and what is waited in between.

use super::client::{Endpoint, Inner, lock};
use super::{Error, ErrorKind};
use crate::Reference;

impl Inner {
    /// Where this is pulled from: the mirrors and then the registry.
    pub(super) fn sources(&self, reference: &Reference) -> Vec<Endpoint> {
        let mirrors = self.http.config.registry(reference.registry()).mirrors;
        let dead = lock(&self.dead);
        let mirrors = mirrors.iter().map(|mirror| Endpoint::new(mirror));
        let alive = mirrors.filter(|mirror| !dead.contains(&mirror.name));
        alive.chain([Self::registry(reference)]).collect()
    }

    /// Does it with one source after another. A mirror has one try; what the registry says is the
    /// result.
    pub(super) fn at_sources<T>(
        &self,
        reference: &Reference,
        mut work: impl FnMut(&Endpoint) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut sources = self.sources(reference);
        let registry = sources.pop().unwrap_or_else(|| Self::registry(reference));
        for mirror in sources {
            match work(&mirror) {
                Ok(done) => return Ok(done),
                Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
                Err(error) => self.passed_over(&mirror, &error),
            }
        }
        self.patiently(|| work(&registry))
    }

    /// Remembers that a mirror is not there, so that not each blob waits for it.
    pub(super) fn passed_over(&self, mirror: &Endpoint, error: &Error) {
        if matches!(error.kind(), ErrorKind::Connect(_)) {
            lock(&self.dead).insert(mirror.name.clone());
        }
    }

    /// Tries it again as long as that may help.
    pub(super) fn patiently<T>(
        &self,
        mut work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut failures = 0;
        loop {
            match work() {
                Err(error) => self.pause(error, &mut failures, false)?,
                done => return done,
            }
        }
    }

    /// Waits before the next try; gives the error back when there is none. A registry that is not
    /// there is rarely there a moment later, unless it was there before (`seen`).
    pub(super) fn pause(&self, error: Error, failures: &mut u32, seen: bool) -> Result<(), Error> {
        let options = &self.options;
        let most = match error.kind() {
            ErrorKind::Connect(_) if !seen => options.retries.min(1),
            kind if kind.may_pass() => options.retries,
            _ => 0,
        };
        let mut delay = options.first_delay.saturating_mul(1 << (*failures).min(6));
        if let ErrorKind::RateLimited { retry_after: Some(wanted), .. } = error.kind() {
            delay = delay.max(*wanted);
        }
        if *failures >= most || delay > options.longest_delay {
            return Err(error);
        }
        *failures += 1;
        match self.http.patience.sleep(delay) {
            true => Ok(()),
            false => Err(Error::at(error.operation(), error.place(), ErrorKind::Cancelled)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Client, Config, Credentials, Options, RegistryConfig};
    use super::*;

    #[test]
    fn a_mirror_that_is_not_there_is_asked_once() {
        let mirrors = vec!["one.example/hub".to_owned(), "two.example".to_owned()];
        let registry = RegistryConfig { mirrors, ..RegistryConfig::default() };
        let config = Config { registries: [("docker.io".to_owned(), registry)].into() };
        let client = Client::new(config, Credentials::none(), Options::default());
        let reference = "a".parse().unwrap();
        let names = || -> Vec<String> {
            let sources = client.0.sources(&reference);
            sources
                .iter()
                .map(|source| source.repository(&reference) + "@" + &source.name)
                .collect()
        };
        let all = ["hub/library/a@one.example", "library/a@two.example", "library/a@docker.io"];
        assert_eq!(names(), all);
        let failed = |source: &str, kind| {
            client.0.passed_over(&Endpoint::new(source), &Error::at("get", "it", kind));
        };
        failed("two.example", ErrorKind::Broken("it ended".to_owned()));
        assert_eq!(names(), all);
        failed("one.example/hub", ErrorKind::Connect("no answer".to_owned()));
        assert_eq!(names(), all[1..]);
    }
}
