use std::fs;
use std::path::Path;

use clap::{ArgAction, Command, Parser};
use clap_mangen::Man as Page;
use minidock_engine::Engine;

use super::version::VERSION;
use super::{Do, verbs};
use crate::exit::UsageError;
use crate::tree::tree;
use crate::values::in_words;
use crate::{help, output};

/// Flags of `minidock man`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Man {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(value_name = "DIR")]
    directory: Vec<String>,
}

impl Do for Man {
    fn run(self, _: &Engine) -> anyhow::Result<u8> {
        let directory = Path::new(self.directory.first().map_or(".", String::as_str));
        let failed = |path: &Path, error: &std::io::Error| {
            UsageError::failed(format!("cannot write {}: {}", path.display(), in_words(error)))
        };
        fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
        let mut names = String::new();
        for (name, page) in pages()? {
            let path = directory.join(&name);
            fs::write(&path, page).map_err(|error| failed(&path, &error))?;
            names += &format!("{}\n", path.display());
        }
        output::print(&names)
    }
}

const STATUS: &str = r".SH EXIT STATUS
That of the program in the container, or 128 + n after signal n. 127: there is no such command. 126: it
cannot be executed. 125: minidock cannot do what it is told. 1: anything else.
";

const PLACES: &str = r".SH ENVIRONMENT
.TP
\fBMINIDOCK_ROOT\fR, \fBMINIDOCK_STATE\fR
Stand for \fB\-\-root\fR and \fB\-\-state\fR.
.SH FILES
.TP
\fI/var/lib/minidock\fR, without root \fI~/.local/share/minidock\fR
Images, containers, volumes and the journal of events.
.TP
\fI/run/minidock\fR, without root \fI$XDG_RUNTIME_DIR/minidock\fR
What belongs to containers that run.
";

/// The names of all pages, and what they say.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let tree = tree();
    let mut pages = vec![page(&tree, "minidock", help::USAGE)?];
    for (name, usage) in help::runs() {
        let command = tree.find_subcommand(name);
        pages.extend(command.map(|command| page(command, &of(name), &usage)).transpose()?);
    }
    for verb in verbs().filter(|verb| !verb.hidden) {
        let command = verb.name.split(' ').try_fold(&tree, |at, name| at.find_subcommand(name));
        let usage = format!("minidock {} {}", verb.name, verb.usage);
        pages.extend(command.map(|command| page(command, &of(verb.name), &usage)).transpose()?);
    }
    Ok(pages)
}

/// The name of a command's page.
fn of(command: &str) -> String {
    format!("minidock-{}", command.replace(' ', "-"))
}

fn page(command: &Command, name: &str, usage: &str) -> std::io::Result<(String, Vec<u8>)> {
    let flags = command.get_arguments().filter(|arg| !arg.is_positional()).cloned();
    let about = command.get_about().cloned().unwrap_or_default();
    let shown = Command::new("minidock").display_name(name.to_owned()).about(about).args(flags);
    let shown = shown.version(VERSION).disable_help_flag(true).disable_version_flag(true);
    let man = Page::new(shown).section("1").source(format!("minidock {VERSION}"));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    text.extend(synopsis(usage).into_bytes());
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if name == "minidock" {
        text.extend(commands(command).into_bytes());
        text.extend(STATUS.bytes().chain(PLACES.bytes()));
    } else {
        text.extend(b".SH SEE ALSO\n\\fBminidock\\fR(1)\n");
    }
    Ok((format!("{name}.1"), text))
}

fn synopsis(usage: &str) -> String {
    let lines = usage.lines().map(|line| format!("{}\n", escaped(line.trim())));
    format!(".SH SYNOPSIS\n{}", lines.collect::<Vec<_>>().join(".br\n"))
}

fn commands(tree: &Command) -> String {
    let mut text = ".SH COMMANDS\n".to_owned();
    for command in tree.get_subcommands() {
        let name = command.get_name();
        let group =
            command.get_subcommands().map(|one| (format!("{name} {}", one.get_name()), one));
        let own = (!command.has_subcommands()).then(|| (name.to_owned(), command));
        for (name, command) in own.into_iter().chain(group) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let page = escaped(&of(&name));
            text += &format!(".TP\n\\fB{page}\\fR(1)\n{}\n", escaped(&about));
        }
    }
    text
}

/// A dash is a minus, as it is typed; a line starts with no request.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_flags() {
        let pages = pages().unwrap();
        let commands = verbs().filter(|verb| !verb.hidden).map(|verb| verb.name);
        for name in commands.chain(["run", "create"]) {
            let file = format!("{}.1", of(name));
            let (_, text) = pages.iter().find(|(page, _)| *page == file).expect(name);
            let text = String::from_utf8(text.clone()).unwrap();
            let tree = tree();
            let command = name.split(' ').try_fold(&tree, |at, name| at.find_subcommand(name));
            for flag in command.unwrap().get_arguments().filter_map(|arg| arg.get_long()) {
                let flag = format!("\\-\\-{}", flag.replace('-', "\\-"));
                assert!(text.contains(&flag), "{name}: {flag}\n{text}");
            }
            assert!(
                text.contains(".SH SYNOPSIS\nminidock ") && text.contains("SEE ALSO"),
                "{text}"
            );
            assert!(!text.contains("volumes\\-from"), "{text}");
        }
        let (name, text) = &pages[0];
        assert_eq!(name, "minidock.1");
        let text = String::from_utf8(text.clone()).unwrap();
        assert!(text.contains("minidock\\-system\\-df\\fR(1)"), "{text}");
    }
}
