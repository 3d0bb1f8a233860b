//! Serves the names of a network, as `minidock names` does: what the tests of the engine execute in
//! place of minidock.

use std::env;
use std::process::ExitCode;

use minidock_engine::Engine;

fn main() -> ExitCode {
    let mut arguments = env::args().skip(2);
    let (Some(root), Some(state), Some(network)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return ExitCode::from(2);
    };
    let words: Vec<String> = arguments.collect();
    match Engine::new(root.into(), state.into()).serve_names(&network, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
