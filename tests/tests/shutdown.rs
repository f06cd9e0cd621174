//! A host that is asked to stop charges nobody for it.

use crate::fixture;

#[test]
fn what_runs_may_finish() {
    let mut host = fixture::host(&fixture::config("", ""), &["misbehave"]);
    host.send("work", "sleep 700").unwrap();
    host.wait_until("it runs", |host| Ok(host.queue("work")?.in_flight == 1))
        .unwrap();
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    let queues = host.json(&["queues"]).unwrap();
    let work = queues["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|queue| queue["name"] == "work");
    let work = work.unwrap();
    let left: Vec<_> = ["ready", "scheduled", "in_flight", "dead"]
        .map(|key| &work[key])
        .into();
    assert_eq!(left, [0, 0, 0, 0], "{work}");
}

#[test]
fn what_does_not_finish_in_time_is_handed_back_and_nothing_is_charged() {
    let config = fixture::config("max_attempts = 2", "timeout = \"10m\"")
        .replace("shutdown_timeout = \"5s\"", "shutdown_timeout = \"100ms\"");
    let mut host = fixture::host(&config, &["misbehave"]);
    host.send("work", "sleep 600000").unwrap();
    host.send("work", "spin").unwrap();
    // More often than there are attempts.
    for _ in 0..3 {
        host.wait_until("they run", |host| Ok(host.queue("work")?.in_flight == 2))
            .unwrap();
        assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
        let waiting = host.json(&["peek", "work"]).unwrap();
        let waiting = waiting["items"].as_array().unwrap();
        assert_eq!(waiting.len(), 2, "{waiting:?}");
        for message in waiting {
            let counters = &message["counters"];
            assert_eq!(
                (&counters["attempts"], &counters["crashes"]),
                (&0.into(), &0.into())
            );
        }
        host.start().unwrap();
    }
}
