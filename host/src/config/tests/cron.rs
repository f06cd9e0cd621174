use std::time::Duration;

use super::{good, told};
use crate::config::{ConfigChange, diff};
use crate::cron::Missed;

const PLAIN: &str =
    "[queue.reports]\n[cron.nightly]\nschedule = \"0 3 * * *\"\nqueue = \"reports\"\n";

#[test]
fn an_entry_needs_a_schedule_and_a_queue_and_has_defaults_for_the_rest() {
    let config = good(PLAIN);
    let entry = &config.cron["nightly"];
    assert_eq!(entry.schedule.expression(), "0 3 * * *");
    assert_eq!(
        (entry.schedule.zone(), entry.queue.as_str()),
        ("UTC", "reports")
    );
    assert_eq!((entry.missed, entry.enabled), (Missed::Last, true));
    assert_eq!(entry.message, gristmill_queue::NewMessage::with_body(""));
    assert_eq!(config.warnings, []);
}

#[test]
fn an_entry_says_all_about_its_messages() {
    let config = good(
        r#"
[queue.reports]
[queue.answers]
[cron.'a.b-c_1']
schedule = "*/10 * * * * *"
zone = "Europe/Berlin"
queue = "reports"
missed = "all"
enabled = false
body = "{}"
content_type = "application/json"
attributes = { tenant = "all" }
type = "report.due"
schema_version = "2"
source = "crontab"
group = "g"
correlation_id = "c"
reply_to = "answers"
priority = 9
ttl = "12h"
"#,
    );
    let entry = &config.cron["a.b-c_1"];
    assert_eq!((entry.missed, entry.enabled), (Missed::All, false));
    let (message, envelope) = (&entry.message, &entry.message.envelope);
    assert_eq!(message.ttl, Some(Duration::from_secs(12 * 3600)));
    assert_eq!(
        (&message.body[..], envelope.priority.level()),
        (&b"{}"[..], 9)
    );
    assert_eq!(envelope.attribute("tenant"), Some("all"));
    assert_eq!(envelope.reply_to.as_ref().unwrap().as_str(), "answers");
    let texts = [
        &envelope.content_type,
        &envelope.message_type,
        &envelope.schema_version,
        &envelope.source,
        &envelope.group,
        &envelope.correlation_id,
    ];
    let texts = texts.map(|text| text.as_deref().unwrap());
    assert_eq!(
        texts,
        ["application/json", "report.due", "2", "crontab", "g", "c"]
    );
}

#[test]
fn entries_come_go_and_change() {
    let with = |more: &str| good(&format!("{PLAIN}{more}"));
    let change = |old: &str, new: &str| diff(&with(old), &with(new));
    let other = "[cron.other]\nschedule = \"@daily\"\nqueue = \"reports\"\n";
    assert!(change("", "# nothing\n").is_empty());
    let added = ConfigChange {
        cron_added: vec!["other".into()],
        ..ConfigChange::default()
    };
    assert_eq!(change("", other), added);
    assert_eq!(change(other, "").cron_removed, ["other"]);
    for more in [
        "zone = \"Europe/Paris\"",
        "body = \"x\"",
        "missed = \"skip\"",
        "enabled = false",
    ] {
        assert_eq!(change("", more).cron_changed, ["nightly"], "{more}");
    }
}

#[test]
fn an_entry_that_makes_no_sense_is_told_why() {
    told(
        r##"[queue.reports]
max_message_size = "4B"
[cron.a]
[cron.b]
schedule = "0 25 * * *"
queue = "report"
[cron.c]
schedule = "0 0 30 2 *"
queue = "reports"
[cron.d]
schedule = "@daily"
zone = "Mars"
queue = "reports"
missed = "most"
[cron.'e f']
schedule = "@daily"
queue = "reports"
body = "too large"
[cron]
nightly = "@daily"
"##,
        r##"error: `cron.a.schedule` is needed
 --> etc/gristmill.toml:3:7
  |
3 | [cron.a]
  |       ^
  |
  = help: write five fields as crontab has them (minute, hour, day, month, weekday), such as "0 3 * * *", or a name such as "@daily"

error: `cron.a.queue` is needed
 --> etc/gristmill.toml:3:7
  |
3 | [cron.a]
  |       ^
  |
  = help: name a declared queue

error: `cron.b.schedule` is not a cron expression: Number out of bounds
 --> etc/gristmill.toml:5:12
  |
5 | schedule = "0 25 * * *"
  |            ^^^^^^^^^^^^
  |
  = help: write five fields as crontab has them (minute, hour, day, month, weekday), such as "0 3 * * *", or a name such as "@daily"

error: `cron.b.queue` names queue "report", which is not declared
 --> etc/gristmill.toml:6:9
  |
6 | queue = "report"
  |         ^^^^^^^^
  |
  = help: did you mean `reports`?

error: `cron.c.schedule` never comes: there is no such day
 --> etc/gristmill.toml:8:12
  |
8 | schedule = "0 0 30 2 *"
  |            ^^^^^^^^^^^^

error: `cron.d.zone` is not a time zone
  --> etc/gristmill.toml:12:8
   |
12 | zone = "Mars"
   |        ^^^^^^
   |
   = help: write a name of the IANA database, such as "Europe/Berlin"

error: `cron.d.missed` must be "skip" or "last" or "all"
  --> etc/gristmill.toml:14:10
   |
14 | missed = "most"
   |          ^^^^^^

error: "e f" cannot be the name of a cron entry
  --> etc/gristmill.toml:15:7
   |
15 | [cron.'e f']
   |       ^^^^^
   |
   = help: use 1 to 100 letters, digits, '-', '_' and '.'

error: `cron."e f"`: its message would be refused: the body has 9 bytes, but the queue takes at most 4: send less, or raise max_message_size
  --> etc/gristmill.toml:18:8
   |
18 | body = "too large"
   |        ^^^^^^^^^^^

error: `cron.nightly` is not a table
  --> etc/gristmill.toml:20:1
   |
20 | nightly = "@daily"
   | ^^^^^^^
   |
   = help: name the cron it is meant for, as in [cron.orders]"##,
    );
}
