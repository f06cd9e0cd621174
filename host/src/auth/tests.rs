use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;

pub(super) fn scopes(actions: &[Action]) -> Scopes {
    Scopes::of(actions)
}

/// An access key with a secret of one's own.
pub(super) fn key_file(id: &str, secret: &str, can: &[Action]) -> (tempfile::TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let can: Vec<&str> = can.iter().map(|one| one.as_str()).collect();
    let contents = serde_json::json!({
        "version": 1,
        "entries": [{
            "id": id, "name": "test", "secret": secret, "can": can, "queues": ["*"],
            "created_at_ms": 1,
        }],
    });
    let path = folder.path().join(FILE);
    std::fs::write(&path, contents.to_string()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let access = Access::of(folder.path());
    (folder, access)
}

fn grant(can: &str, queues: &str) -> Grant {
    Grant {
        name: "ci".to_owned(),
        scopes: can.parse().unwrap(),
        queues: queues.parse().unwrap(),
        lasts: None,
    }
}

#[test]
fn patterns_match_names() {
    for (pattern, name, expected) in [
        ("*", "anything", true),
        ("orders", "orders", true),
        ("orders", "orders2", false),
        ("orders-*", "orders-eu", true),
        ("orders-*", "orders", false),
        ("*-eu", "orders-eu", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "axxcyyb", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("**", "x", true),
        ("*.fifo", "x.fifo", true),
        ("a,b-*", "b-1", true),
    ] {
        let queues: Queues = pattern.parse().unwrap();
        assert_eq!(queues.has(name), expected, "{pattern} {name}");
    }
    for wrong in ["", ",", "a b", "a/b", "[a]", &"a".repeat(86)] {
        wrong.parse::<Queues>().unwrap_err();
    }
    assert!("a,*".parse::<Queues>().unwrap().are_all());
    assert!(!"a*".parse::<Queues>().unwrap().are_all());
}

#[test]
fn a_pattern_with_many_stars_takes_no_time() {
    let queues: Queues = format!("{}c", "a*".repeat(40)).parse().unwrap();
    assert!(!queues.has(&format!("{}b", "a".repeat(79))));
}

#[test]
fn scopes_do_not_include_one_another() {
    for action in Action::ALL {
        let identity = Identity {
            who: "x".to_owned(),
            scopes: Scopes::of(&[action]),
            queues: "orders".parse().unwrap(),
        };
        for other in Action::ALL {
            assert_eq!(identity.may(other, "orders"), other == action);
            assert!(!identity.may(other, "invoices"));
            assert!(!identity.may_with_all(other));
        }
    }
    assert_eq!(
        "read, send".parse::<Scopes>().unwrap().to_string(),
        "send,read"
    );
    "".parse::<Scopes>().unwrap_err();
    "admin".parse::<Scopes>().unwrap_err();
    let anybody = Identity::everything("x");
    assert!(
        Action::ALL
            .into_iter()
            .all(|action| anybody.may_with_all(action))
    );
}

#[test]
fn a_token_is_good_from_when_it_is_made_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // One is the host, the other a command.
    let (host, command) = (Access::of(&data), Access::of(&data));
    let now = SystemTime::now();
    assert!(matches!(host.bearer("gm_x", now), Err(Refused::Unknown)));
    let issued = command.issue(&grant("send,read", "orders-*")).unwrap();
    let identity = host.bearer(&issued.token, now).unwrap();
    assert_eq!(identity.who, format!("token ci ({})", issued.id));
    assert!(identity.may(Action::Send, "orders-eu") && !identity.may(Action::Send, "invoices"));
    let mut wrong = issued.token.clone();
    let last = if wrong.ends_with('a') { 'b' } else { 'a' };
    wrong.pop();
    wrong.push(last);
    assert!(matches!(host.bearer(&wrong, now), Err(Refused::Unknown)));
    let listed = host.list().unwrap();
    assert_eq!(
        (listed[0].id.as_str(), listed[0].is_key),
        (issued.id.as_str(), false)
    );
    assert!(command.revoke(&issued.id).unwrap() && !command.revoke(&issued.id).unwrap());
    assert!(matches!(
        host.bearer(&issued.token, now),
        Err(Refused::Unknown)
    ));
}

#[test]
fn an_expired_token_or_key_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::of(folder.path());
    let short = Grant {
        lasts: Some(Duration::from_secs(60)),
        ..grant("send", "*")
    };
    let token = access.issue(&short).unwrap();
    let key = access.issue_key(&short).unwrap();
    let now = SystemTime::now();
    access.bearer(&token.token, now).unwrap();
    assert!(access.key(&key.id, now).unwrap().is_some());
    let later = now + Duration::from_secs(61);
    assert!(matches!(
        access.bearer(&token.token, later),
        Err(Refused::Expired { .. })
    ));
    assert!(access.key(&key.id, later).unwrap().is_none());
    // Neither is taken for the other.
    assert!(access.key(&token.id, now).unwrap().is_none());
    assert!(matches!(
        access.bearer(&key.secret, now),
        Err(Refused::Unknown)
    ));
}

#[test]
fn the_file_is_private_and_has_no_token_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::of(folder.path());
    let issued = access.issue(&grant("send", "*")).unwrap();
    let path = folder.path().join(FILE);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = issued.token.rsplit('_').next().unwrap();
    assert!(!text.contains(secret) && text.contains(&issued.id));
    // Who opens it to others is told, and nobody is let in meanwhile.
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = access.bearer(&issued.token, SystemTime::now()).unwrap_err();
    assert!(matches!(error, Refused::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    access.bearer(&issued.token, SystemTime::now()).unwrap();
}

#[test]
fn a_broken_file_lets_nobody_in_and_is_not_written_over() {
    let (folder, access) = key_file("KEY", "canary-secret", &[Action::Send]);
    let path = folder.path().join(FILE);
    let good = std::fs::read_to_string(&path).unwrap();
    for broken in [
        "",
        "{",
        "[]",
        &good.replace("\"version\":1", "\"version\":2"),
        &good.replace("send", "fly"),
        &good.replace("\"*\"", "\"a b\""),
        &good.replace("\"secret\":\"canary-secret\"", "\"secret\":7"),
        &good.replace("\"name\"", "\"nmae\""),
    ] {
        std::fs::write(&path, broken).unwrap();
        let error = access
            .key("KEY", SystemTime::now())
            .unwrap_err()
            .to_string();
        assert!(error.contains(FILE) && !error.contains("canary"), "{error}");
        if serde_json::from_str::<serde_json::Value>(broken).is_err() {
            access.issue(&grant("send", "*")).map(|_| ()).unwrap_err();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), broken);
        }
    }
    std::fs::write(&path, &good).unwrap();
    assert!(access.key("KEY", SystemTime::now()).unwrap().is_some());
}

#[test]
fn many_who_change_it_at_once_do_not_undo_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let access = Access::of(folder.path());
            std::thread::spawn(move || {
                (0..5)
                    .map(|_| access.issue(&grant("send", "*")).unwrap().token)
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let tokens: Vec<String> = threads
        .into_iter()
        .flat_map(|one| one.join().unwrap())
        .collect();
    let access = Access::of(folder.path());
    assert_eq!((tokens.len(), access.list().unwrap().len()), (40, 40));
    for token in tokens {
        access.bearer(&token, SystemTime::now()).unwrap();
    }
}

#[test]
fn names_that_would_spoil_a_log_are_refused() {
    for good in ["ci", "deploy @ eu/1", "Grün-Weiß"] {
        Grant::check_name(good).unwrap();
    }
    for bad in ["", " x", "a\nb", "a\u{202e}b", "x=\"1\"", &"a".repeat(81)] {
        Grant::check_name(bad).unwrap_err();
    }
}
