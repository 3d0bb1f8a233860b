//! What is seen of images that are pulled or pushed: docker's lines, and on a terminal below them
//! those layers that are on their way.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use minidock_engine::{Digest, Engine, Step, Transfer, Transfers};

use crate::format::human;
use crate::output;

/// Who hears of transfers, and prints it.
#[derive(Debug)]
pub(crate) struct Progress {
    to_error: bool,
    is_terminal: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_push: bool,
    /// Those that are not done.
    layers: Vec<Layer>,
    /// How many lines there are below the others.
    drawn: usize,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Layer {
    digest: Digest,
    done: u64,
    total: u64,
    is_unpacked: bool,
}

/// More often than that nobody looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Characters of a bar.
const BAR: u64 = 25;

/// The engine, telling of transfers on standard output; not when it is to be quiet.
pub(crate) fn shown(engine: &Engine, is_quiet: bool) -> Engine {
    observed(engine.clone(), false, is_quiet)
}

/// The same on standard error, where the output is the container's.
pub(crate) fn shown_beside(engine: Engine, is_quiet: bool) -> Engine {
    observed(engine, true, is_quiet)
}

fn observed(engine: Engine, to_error: bool, is_quiet: bool) -> Engine {
    if is_quiet {
        return engine;
    }
    let is_terminal =
        if to_error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    engine.observed(Arc::new(Progress { to_error, is_terminal, state: Mutex::default() }))
}

impl Transfers for Progress {
    fn tell(&self, event: Transfer) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = state.text(event, self.is_terminal);
        if self.is_terminal && (!text.is_empty() || state.is_due()) {
            self.print(&state.drawn_anew(&text));
        } else if !text.is_empty() {
            self.print(&text);
        }
    }
}

impl Progress {
    /// Whoever does not read it does not miss it: what came of it is told elsewhere.
    fn print(&self, text: &str) {
        match self.to_error {
            true => output::complain(text),
            false => drop(output::stream(text)),
        }
    }
}

impl State {
    /// The lines that stay.
    fn text(&mut self, event: Transfer, is_terminal: bool) -> String {
        match event {
            Transfer::Missing(name) => {
                format!("Unable to find image '{}' locally\n", name.familiar())
            }
            Transfer::Pulling(name) => {
                *self = Self { drawn: self.drawn, ..Self::default() };
                let digest = name.digest().map(ToString::to_string);
                let version = digest.as_deref().or(name.tag()).unwrap_or_default();
                format!("{version}: Pulling from {}\n", name.repository())
            }
            Transfer::Pushing(name) => {
                self.is_push = true;
                format!("The push refers to repository [{}]\n", name.name())
            }
            Transfer::Layer(digest, step) => self.layer(&digest, &step, is_terminal),
            Transfer::Bytes { digest, done, total } => {
                let mut layers = self.layers.iter_mut();
                if let Some(layer) = layers.find(|layer| layer.digest == digest) {
                    (layer.done, layer.total) = (done, total);
                }
                String::new()
            }
            Transfer::Pulled { reference, digest, is_new } => {
                let name = reference.familiar();
                let status = match is_new {
                    true => format!("Downloaded newer image for {name}"),
                    false => format!("Image is up to date for {name}"),
                };
                format!("Digest: {digest}\nStatus: {status}\n")
            }
            Transfer::Pushed { reference, digest, size } => {
                let tag = reference.tag().unwrap_or_default();
                format!("{tag}: digest: {digest} size: {size}\n")
            }
            _ => String::new(),
        }
    }

    fn layer(&mut self, digest: &Digest, step: &Step, is_terminal: bool) -> String {
        let known = self.layers.iter().position(|layer| layer.digest == *digest);
        let text = match (step, self.is_push) {
            (Step::Waiting, is_push) => {
                if known.is_none() {
                    let digest = *digest;
                    self.layers.push(Layer { digest, done: 0, total: 0, is_unpacked: false });
                }
                if is_push { "Preparing" } else { "Pulling fs layer" }.to_owned()
            }
            (Step::Downloaded, _) => {
                if let Some(layer) = known.and_then(|at| self.layers.get_mut(at)) {
                    layer.is_unpacked = true;
                }
                "Download complete".to_owned()
            }
            (Step::Complete, false) => "Pull complete".to_owned(),
            (Step::Complete, true) => "Pushed".to_owned(),
            (Step::Exists, false) => "Already exists".to_owned(),
            (Step::Exists, true) => "Layer already exists".to_owned(),
            (Step::Mounted(from), _) => format!("Mounted from {}", from.repository()),
            (Step::Skipped, _) => "Skipped foreign layer".to_owned(),
            _ => return String::new(),
        };
        let is_done = !matches!(step, Step::Waiting | Step::Downloaded);
        if let (true, Some(at)) = (is_done, known) {
            self.layers.remove(at);
        }
        match is_terminal && !is_done {
            true => String::new(),
            false => format!("{}: {text}\n", digest.short()),
        }
    }

    /// Whether it is time for what changes all the time.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if is_due {
            self.last = Some(now);
        }
        is_due
    }

    /// These lines instead of those that do not stay, and such below them again.
    fn drawn_anew(&mut self, text: &str) -> String {
        let below = self.below();
        let all = format!("{}{text}{below}", self.erased());
        self.drawn = below.matches('\n').count();
        all
    }

    /// What takes the lines away that do not stay.
    fn erased(&self) -> String {
        match self.drawn {
            0 => String::new(),
            count => format!("\x1b[{count}A\r\x1b[J"),
        }
    }

    /// What is on its way. A line that is too long for the terminal is cut off by it.
    fn below(&self) -> String {
        let moving = self.layers.iter().filter(|layer| layer.done > 0 || layer.is_unpacked);
        let lines: String = moving.map(|layer| layer.line(self.is_push)).collect();
        if lines.is_empty() { lines } else { format!("\x1b[?7l{lines}\x1b[?7h") }
    }
}

impl Layer {
    fn line(&self, is_push: bool) -> String {
        let short = self.digest.short();
        if self.is_unpacked || !is_push && self.done == self.total {
            return format!("{short}: Extracting\n");
        }
        let filled = (self.done.saturating_mul(BAR) / self.total.max(1)).min(BAR);
        let bar: String = (0..BAR)
            .map(|at| match at {
                at if at + 1 < filled => '=',
                at if at < filled => '>',
                _ => ' ',
            })
            .collect();
        let verb = if is_push { "Pushing" } else { "Downloading" };
        let (done, total) = (human::size(self.done), human::size(self.total));
        format!("{short}: {verb} [{bar}]  {done}/{total}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: &mut State, events: &[Transfer], is_terminal: bool) -> String {
        events.iter().map(|event| state.text(event.clone(), is_terminal)).collect()
    }

    fn digest(text: &str) -> Digest {
        format!("sha256:{}", text.repeat(64)).parse().unwrap()
    }

    #[test]
    fn a_pull_is_told_in_docker_s_words() {
        let name: minidock_engine::Reference = "alpine".parse().unwrap();
        let (one, two) = (digest("a"), digest("b"));
        let events = [
            Transfer::Pulling(name.clone()),
            Transfer::Layer(one, Step::Waiting),
            Transfer::Layer(two, Step::Waiting),
            Transfer::Layer(one, Step::Exists),
            Transfer::Bytes { digest: two, done: 5, total: 10 },
            Transfer::Layer(two, Step::Downloaded),
            Transfer::Layer(two, Step::Complete),
            Transfer::Pulled { reference: name, digest: one, is_new: true },
        ];
        let end = format!("Digest: {one}\nStatus: Downloaded newer image for alpine:latest\n");
        let first = "latest: Pulling from library/alpine\n";
        assert_eq!(
            told(&mut State::default(), &events, false),
            format!(
                "{first}aaaaaaaaaaaa: Pulling fs layer\nbbbbbbbbbbbb: Pulling fs layer\n\
                 aaaaaaaaaaaa: Already exists\nbbbbbbbbbbbb: Download complete\n\
                 bbbbbbbbbbbb: Pull complete\n{end}"
            )
        );
        let mut state = State::default();
        assert_eq!(
            told(&mut state, &events, true),
            format!("{first}aaaaaaaaaaaa: Already exists\nbbbbbbbbbbbb: Pull complete\n{end}")
        );
        assert_eq!(state.below(), "");
    }

    #[test]
    fn what_is_on_its_way_has_a_bar() {
        let mut state = State::default();
        let one = digest("a");
        told(&mut state, &[Transfer::Layer(one, Step::Waiting)], true);
        assert_eq!((state.below(), state.erased()), (String::new(), String::new()));
        let half = Transfer::Bytes { digest: one, done: 1_000_000, total: 2_000_000 };
        told(&mut state, &[half], true);
        let line = "aaaaaaaaaaaa: Downloading [===========>             ]  1MB/2MB\n";
        let below = format!("\x1b[?7l{line}\x1b[?7h");
        assert_eq!(state.drawn_anew(""), below);
        assert_eq!(state.drawn_anew("text\n"), format!("\x1b[1A\r\x1b[Jtext\n{below}"));
        told(&mut state, &[Transfer::Layer(one, Step::Downloaded)], true);
        assert!(state.below().contains("aaaaaaaaaaaa: Extracting\n"));
    }
}
