//! Units of systemd, as `systemd.unit(5)` has them.

/// A service that is a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its name, without `.service`.
    pub(crate) name: String,
    pub(crate) description: String,
    /// Directories that have to be mounted before.
    pub(crate) mounts: Vec<String>,
    /// The network of the host is the container's.
    pub(crate) network: bool,
    /// The command whose end is the container's.
    pub(crate) start: Vec<String>,
    /// The command that ends it, where that is more than a signal to the first one.
    pub(crate) stop: Option<Vec<String>>,
    /// The number of the signal by which the container ends.
    pub(crate) signal: i32,
    /// Seconds until it is killed, for ever when there are none.
    pub(crate) timeout: Option<u64>,
    pub(crate) restart: String,
    /// Variables that the command is not to have.
    pub(crate) unset: Vec<String>,
}

/// What `minidock stop` may take longer than its time-out, in seconds.
const REST: u64 = 60;

impl Unit {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let (name, description) = (&self.name, specifiers(&self.description));
        let mounts = words(&self.mounts, path_word);
        let network = match self.network {
            true => "Wants=network-online.target\nAfter=network-online.target\n",
            false => "",
        };
        let service = self.service();
        format!(
            "# {name}.service\n\n[Unit]\nDescription={description}\n\
             Documentation=man:minidock-generate-systemd(1)\n{network}RequiresMountsFor={mounts}\n\n\
             [Service]\n{service}\n[Install]\nWantedBy=default.target\n"
        )
    }

    fn service(&self) -> String {
        let mut lines = vec!["Type=exec".to_owned()];
        if !self.unset.is_empty() {
            lines.push(format!("UnsetEnvironment={}", words(&self.unset, path_word)));
        }
        lines.push(format!("ExecStart={}", words(&self.start, command_word)));
        let longest = match &self.stop {
            Some(stop) => {
                lines.push(format!("ExecStop={}", words(stop, command_word)));
                self.timeout.map(|seconds| seconds.saturating_add(REST))
            }
            None => {
                lines.push(format!("KillSignal={}", self.signal));
                self.timeout
            }
        };
        let longest = longest.map_or_else(|| "infinity".to_owned(), |seconds| seconds.to_string());
        lines.extend([
            format!("TimeoutStopSec={longest}"),
            // The rest of the group is its monitor, with which the kernel ends the container.
            "KillMode=mixed".to_owned(),
            format!("SuccessExitStatus={}", 128 + self.signal),
            format!("Restart={}", self.restart),
            // With cgroup v1 the container's groups are below the unit's.
            "Delegate=yes".to_owned(),
        ]);
        lines.join("\n") + "\n"
    }
}

fn words(words: &[String], quoted: impl Fn(&str) -> String) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word of a command line: `$` stands for a variable, too.
fn command_word(word: &str) -> String {
    path_word(word).replace('$', "$$")
}

/// A word of a list, `systemd.syntax(7)`.
fn path_word(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_./:=@,+-".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_ascii_control() => {
                quoted.push_str(&format!("\\x{:02x}", u32::from(letter)));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    specifiers(&quoted)
}

/// `%` begins a specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        for (word, quoted) in [
            ("/usr/bin/minidock", "/usr/bin/minidock"),
            ("--env=A=1", "--env=A=1"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            (";", "\";\""),
            ("it's", "\"it's\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("$HOME and %n", "\"$$HOME and %%n\""),
            ("100%", "\"100%%\""),
            ("a\nb\t\x1b", "\"a\\nb\\t\\x1b\""),
            ("größe", "größe"),
        ] {
            assert_eq!(command_word(word), quoted);
        }
        assert_eq!(path_word("/a$b%c"), "\"/a$b%%c\"");
    }

    fn unit() -> Unit {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Unit {
            name: "minidock-web".to_owned(),
            description: "Container web of minidock".to_owned(),
            mounts: words("/var/lib/minidock /run/minidock"),
            network: false,
            start: words("/usr/bin/minidock start --attach web"),
            stop: Some(words("/usr/bin/minidock stop --timeout=10 web")),
            signal: 15,
            timeout: Some(10),
            restart: "on-failure".to_owned(),
            unset: Vec::new(),
        }
    }

    #[test]
    fn a_unit_starts_and_stops_a_container() {
        assert_eq!(unit().text(), include_str!("../../tests/snapshots/unit.txt"));
    }

    #[test]
    fn a_unit_may_run_a_container_of_its_own() {
        let start = ["/usr/bin/minidock", "run", "--env=A", "alpine", "echo $x"].map(str::to_owned);
        let unit = Unit {
            start: start.to_vec(),
            stop: None,
            signal: 3,
            timeout: None,
            network: true,
            unset: vec!["A".to_owned()],
            ..unit()
        };
        assert_eq!(unit.text(), include_str!("../../tests/snapshots/unit-new.txt"));
    }
}
