use super::*;
use crate::host;

/// Takes charge of a container of which nothing else exists.
fn taken(engine: &Engine) -> Claim {
    engine.prepare().unwrap();
    let id = ContainerId::random().unwrap();
    let record = Record::bare(engine, (&id, "one"), host::boot().unwrap(), true);
    engine.state.take(record).unwrap().unwrap()
}

#[test]
fn what_has_come_into_the_place_of_a_directory_that_was_moved_away_stays() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::new(directory.path().join("root"), directory.path().join("state"));
    let claim = taken(&engine);
    let own = engine.state.container(&claim.record.id);
    let moved = directory.path().join("moved");
    fs::rename(&own, &moved).unwrap();
    engine.state.forget(&claim).unwrap();
    let later = engine.state.take(claim.record.clone()).unwrap().unwrap();
    engine.state.forget(&claim).unwrap();
    assert_eq!(engine.state.record(&claim.record.id).unwrap(), Some(later.record.clone()));
    engine.state.forget(&later).unwrap();
    assert!(!own.exists() && moved.exists());
}

#[test]
fn a_directory_goes_with_its_charge() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::new(directory.path().join("root"), directory.path().join("state"));
    let claim = taken(&engine);
    assert!(engine.state.is_held(&claim.record.id).unwrap());
    engine.state.forget(&claim).unwrap();
    assert!(!engine.state.container(&claim.record.id).exists());
}

#[test]
fn marks_that_others_leave_at_the_same_time_hold_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::new(directory.path().join("root"), directory.path().join("state"));
    let mut claim = taken(&engine);
    for _ in 0..200 {
        let charge = engine.state.charge(&claim.record.id).unwrap().unwrap();
        std::thread::scope(|scope| {
            let marks = scope.spawn(|| {
                let mut left = 0;
                while charge.lasts().unwrap() {
                    charge.stop().unwrap();
                    left += 1;
                }
                left
            });
            // Not before somebody leaves marks.
            while !engine.state.is_stopping(&claim.record.id) {}
            let forgotten = engine.state.forget(&claim);
            drop(claim);
            assert!(marks.join().unwrap() > 0);
            forgotten.unwrap();
        });
        claim = taken(&engine);
    }
    engine.state.forget(&claim).unwrap();
}
