//! The scan in virtual time.

use std::time::Duration;

use super::world::{NAME, STEP, World, good};
use crate::reload::scan::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_new_file_is_read_when_it_was_left_alone() {
    let mut world = World::new();
    world.pass(STEP);
    assert_eq!(world.told(), ["gone orders"]);
    world.replace(&good("1"));
    world.pass(QUIET - STEP);
    assert_eq!(world.told(), [""; 0]);
    world.pass(STEP * 2);
    assert_eq!(world.told(), [format!("good {}", good("1"))]);
}

#[test]
fn what_lies_there_at_the_start_has_been_left_alone_as_long_as_it_says() {
    for (age, waits) in [(Some(QUIET), false), (Some(QUIET / 2), true), (None, true)] {
        let mut world = World::new();
        let stamp = world.stamp(1);
        world.scan.look(NAME, Seen::There(stamp), age, world.now);
        assert_eq!(world.scan.steps(world.now).is_empty(), waits, "{age:?}");
    }
    let mut world = World::new();
    world.scan.look(NAME, Seen::Missing, None, world.now);
    assert_eq!(
        world.scan.steps(world.now),
        [Step::Gone {
            name: NAME.to_owned()
        }]
    );
}

#[test]
fn a_changed_file_and_one_renamed_over_it_are_read() {
    for change in [World::replace, World::write] {
        let mut world = World::serving(&good("1"));
        change(&mut world, &good("2"));
        world.pass(QUIET + STEP);
        assert_eq!(world.told(), [format!("good {}", good("2"))]);
    }
}

#[test]
fn a_change_is_found_without_events() {
    let mut world = World::serving(&good("1"));
    world.watched = false;
    world.write(&good("2"));
    world.pass(QUIET + STEP * 2);
    assert_eq!(world.told(), [format!("good {}", good("2"))]);
}

#[test]
fn a_touched_file_is_nothing_new() {
    let mut world = World::serving(&good("1"));
    let reads = world.reads;
    world.write(&good("1"));
    world.pass(SECOND * 10);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.reads, reads + 1);
    world.pass(SECOND * 100);
    assert_eq!(world.reads, reads + 1, "an idle file is not read");
    assert_eq!(world.scan.wake(), None);
}

#[test]
fn a_change_in_the_same_tick_of_the_clock_is_found() {
    let mut world = World::new();
    world.replace(&good("1"));
    world.pass(QUIET + STEP);
    world.write_unseen(&good("2"));
    world.pass(COARSEST_STAMP + SECOND);
    assert_eq!(
        world.told(),
        [format!("good {}", good("1")), format!("good {}", good("2"))]
    );
}

#[test]
fn a_file_that_is_written_byte_by_byte_is_never_used_in_part() {
    // Slow enough for parts to be read, and quick enough for only the last to count.
    for pause in [10, 50, 290, 400, 900, 1900] {
        let mut world = World::serving(&good("1"));
        let whole = good("2");
        for length in 0..=whole.len() {
            world.write(&whole[..length]);
            world.pass(Duration::from_millis(pause));
        }
        world.pass(SECOND * 10);
        let told = world.told();
        assert_eq!(
            told,
            [format!("good {whole}")],
            "with {pause} ms between bytes"
        );
    }
}

#[test]
fn a_file_that_stays_cut_off_is_reported_once_and_late() {
    let mut world = World::serving(&good("1"));
    world.write("(goo");
    world.pass(PATIENCE);
    assert_eq!(world.told(), [""; 0]);
    world.pass(SECOND);
    assert_eq!(world.told(), ["reported cut (goo"]);
    let reads = world.reads;
    world.pass(SECOND * 100);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.reads, reads);
    // And what comes then is used.
    world.write(&good("2"));
    world.pass(SECOND);
    assert_eq!(world.told(), [format!("good {}", good("2"))]);
}

#[test]
fn waiting_for_the_rest_of_a_file_reads_it_seldom() {
    let mut world = World::serving(&good("1"));
    let reads = world.reads;
    world.write("(goo");
    world.pass(SECOND * 20);
    assert!(
        (3..=8).contains(&(world.reads - reads)),
        "{}",
        world.reads - reads
    );
}

#[test]
fn a_bad_file_is_reported_at_once_and_once_for_each_content() {
    let mut world = World::serving(&good("1"));
    for _ in 0..3 {
        world.write("bad 1");
        world.pass(SECOND);
    }
    world.write("bad 2");
    world.pass(SECOND);
    assert_eq!(world.told(), ["reported bad 1", "reported bad 2"]);
    assert!(world.scan.is_refused(NAME));
    // A grant was added: the same content may be good now.
    world.scan.forget(NAME, world.now);
    world.pass(STEP * 2);
    assert_eq!(world.told(), ["reported bad 2"]);
}

#[test]
fn a_short_gap_is_no_deletion_but_a_long_one_is() {
    let mut world = World::serving(&good("1"));
    world.remove();
    world.pass(QUIET - STEP * 2);
    world.replace(&good("2"));
    world.pass(SECOND);
    assert_eq!(world.told(), [format!("good {}", good("2"))]);
    world.remove();
    world.pass(QUIET + STEP);
    assert_eq!(world.told(), ["gone orders"]);
    world.pass(SECOND * 100);
    assert_eq!(world.told(), [""; 0]);
    // The same content again is something new after that.
    world.replace(&good("2"));
    world.pass(QUIET + STEP * 2);
    assert_eq!(world.told(), [format!("good {}", good("2"))]);
}

#[test]
fn a_storm_of_renames_neither_starves_nor_stops_the_queue() {
    let mut world = World::serving(&good("1"));
    // 100 a second for 10 seconds.
    for n in 0..1000 {
        world.replace(&good(&n.to_string()));
        world.pass(STEP);
    }
    world.pass(SECOND);
    let told = world.told();
    assert!((5..=6).contains(&told.len()), "{told:?}");
    assert_eq!(told.last(), Some(&format!("good {}", good("999"))));
}

#[test]
fn a_storm_of_deletions_and_creations_is_no_deletion() {
    let mut world = World::serving(&good("1"));
    for n in 0..500 {
        world.remove();
        world.pass(STEP);
        world.replace(&good(&n.to_string()));
        world.pass(STEP);
    }
    let told = world.told();
    assert!(told.iter().all(|line| line.starts_with("good")), "{told:?}");
    assert!(told.len() >= 4, "{told:?}");
}

#[test]
fn a_link_that_is_swapped_shows_as_another_file() {
    let mut world = World::serving(&good("1"));
    world.watched = false;
    // Size and times of the new file are those of the old one.
    let stamp = Stamp {
        identity: (1, 99),
        ..world.files[NAME].1
    };
    world.files.insert(NAME.to_owned(), (good("2"), stamp));
    world.pass(SECOND);
    assert_eq!(world.told(), [format!("good {}", good("2"))]);
}

#[test]
fn what_happens_while_a_module_is_loaded_is_dealt_with_after() {
    let mut world = World::serving(&good("1"));
    world.slow = SECOND * 15;
    world.replace(&good("2"));
    world.pass(SECOND);
    world.replace(&good("3"));
    world.pass(SECOND * 60);
    assert_eq!(
        world.told(),
        [format!("good {}", good("2")), format!("good {}", good("3"))]
    );
    // A removal does not wait for a load.
    world.replace(&good("4"));
    world.pass(SECOND);
    world.remove();
    world.pass(SECOND);
    assert_eq!(world.told(), ["gone orders"]);
    world.pass(SECOND * 20);
    world.told();
    // What was loaded too late does not make the same content known.
    world.replace(&good("4"));
    world.pass(SECOND * 20);
    assert_eq!(world.told(), [format!("good {}", good("4"))]);
}

#[test]
fn what_cannot_be_read_for_a_moment_is_read_again() {
    let mut world = World::serving(&good("1"));
    let read = |world: &mut World| {
        while !world
            .scan
            .steps(world.now)
            .iter()
            .any(|step| matches!(step, Step::Read { .. }))
        {
            world.now += STEP;
        }
    };
    world.write(&good("2"));
    read(&mut world);
    let busy = Outcome::Unreadable("no".to_owned());
    assert_eq!(world.scan.done(NAME, busy.clone(), world.now), None);
    read(&mut world);
    let (failed, reported) = (world.now, world.scan.done(NAME, busy.clone(), world.now));
    assert_eq!(reported, None);
    loop {
        read(&mut world);
        if let Some(problem) = world.scan.done(NAME, busy.clone(), world.now) {
            assert_eq!(problem, "no");
            break;
        }
    }
    assert!(world.now - failed > PATIENCE - SECOND && world.now - failed < PATIENCE + SECOND);
    // When it can be read again, it is used again, even if it is as before.
    world.write(&good("1"));
    world.pass(SECOND * 4);
    assert_eq!(world.told(), [format!("good {}", good("1"))]);
    assert_eq!(world.scan.wake(), None);
    assert!(world.start < world.now);
}

#[test]
fn what_still_changes_is_not_reported() {
    let mut world = World::serving(&good("1"));
    for n in 0..10 {
        world.write(&n.to_string());
        while !matches!(world.scan.steps(world.now)[..], [Step::Read { .. }]) {
            world.now += STEP;
        }
        let busy = Outcome::Unreadable("no".to_owned());
        assert_eq!(world.scan.done(NAME, busy, world.now), None, "{n}");
        world.now += SECOND;
    }
}

#[test]
fn an_overtaken_judgement_is_repeated() {
    let mut world = World::serving(&good("1"));
    world.write(&good("2"));
    while world.scan.steps(world.now).is_empty() {
        world.now += STEP;
    }
    world.scan.done(NAME, Outcome::Overtaken, world.now);
    let steps = world.scan.steps(world.now);
    assert_eq!(
        steps,
        [Step::Read {
            name: NAME.to_owned(),
            known: None
        }]
    );
}

#[test]
fn files_that_are_no_longer_wanted_are_forgotten() {
    let mut world = World::serving(&good("1"));
    world.scan.want([].iter());
    world.write(&good("2"));
    world.pass(SECOND);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.scan.done(NAME, Outcome::Moving, world.now), None);
}
