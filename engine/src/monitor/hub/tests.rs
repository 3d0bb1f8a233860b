use std::io::Write;

use super::*;
use crate::monitor::channel;

#[test]
fn who_only_waits_for_the_end_gets_no_output_and_holds_nothing_up() {
    let (own, theirs) = channel::pair().unwrap();
    let listener = Listener::new(channel::pair().unwrap().0);
    let mut hub = Hub { listener, clients: vec![Client::new(own, false)], log: None };
    let (read, mut write) = std::io::pipe().unwrap();
    let mut source = Source::new(read.into(), LogStream::Stdout);
    let mut buffer = [0; CHUNK];
    for _ in 0..200 {
        write.write_all(&buffer).unwrap();
        hub.copy(&mut source, &mut buffer);
    }
    assert!(!hub.is_behind());
    assert_eq!(channel::receive(theirs.as_fd(), &mut buffer), Err(Errno::EAGAIN));
    // One who looks gets it.
    channel::send(theirs.as_fd(), Kind::Attach, &[0]).unwrap();
    hub.attend(0, &mut Input::default(), &mut buffer);
    write.write_all(b"x").unwrap();
    hub.copy(&mut source, &mut buffer);
    let received = channel::receive(theirs.as_fd(), &mut buffer);
    assert_eq!(received, Ok(Some((Kind::Output, 1))));
}

#[test]
fn who_attaches_at_the_very_end_is_told_it_once_and_nothing_more() {
    let (own, theirs) = channel::pair().unwrap();
    let listener = Listener::new(channel::pair().unwrap().0);
    let mut hub = Hub { listener, clients: vec![Client::new(own, false)], log: None };
    let mut buffer = [0; CHUNK];
    let status = ExitStatus::Exited(3);
    hub.tell_end(status, |client| !client.looks());
    channel::send(theirs.as_fd(), Kind::Attach, &[0]).unwrap();
    hub.attend(0, &mut Input::default(), &mut buffer);
    let (read, mut write) = std::io::pipe().unwrap();
    write.write_all(b"x").unwrap();
    hub.copy(&mut Source::new(read.into(), LogStream::Stdout), &mut buffer);
    hub.tell_end(status, |_| true);
    let mut received = || channel::receive(theirs.as_fd(), &mut buffer);
    assert_eq!(received(), Ok(Some((Kind::Ended, 1))));
    assert_eq!(received(), Err(Errno::EAGAIN));
}

#[test]
fn one_who_has_looked_only_does_not_end_the_input_by_leaving() {
    let (own, theirs) = channel::pair().unwrap();
    let listener = Listener::new(channel::pair().unwrap().0);
    let mut hub = Hub { listener, clients: vec![Client::new(own, true)], log: None };
    let (mut read, write) = std::io::pipe().unwrap();
    let mut input = Input::pipe(Some(write.into()), true);
    let mut buffer = [0; CHUNK];
    channel::send(theirs.as_fd(), Kind::Attach, &[0]).unwrap();
    drop(theirs);
    hub.attend(0, &mut input, &mut buffer);
    hub.let_go(&mut input);
    assert!(hub.clients.is_empty());
    input.write(b"x");
    let length = std::io::Read::read(&mut read, &mut buffer).unwrap();
    assert_eq!(length, 1);
}
