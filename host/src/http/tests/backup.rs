//! The route that makes backups.

use std::path::PathBuf;

use super::*;
use crate::api::BackupOrder;

#[tokio::test]
async fn a_backup_is_made_where_it_is_told_and_refused_where_it_cannot_be() {
    let stage = Stage::new().await;
    stage
        .post("/v1/queues/orders/messages", &[], "kept")
        .await
        .unwrap();
    let above = tempfile::tempdir().unwrap();
    let order = |to: PathBuf| BackupOrder { to };
    let to = above.path().join("copy");
    let made = stage.client.backup(&order(to.clone())).await.unwrap();
    assert_eq!(made.to, to);
    assert!(made.rows > 2 && made.store_bytes > 0, "{made:?}");
    assert_eq!((made.large_bodies, made.missing), (0, 0));
    let (copy, found) = Store::open(&to, Options::default()).unwrap();
    assert_eq!(found.waiting, 1);
    copy.close().await;
    let table = [
        (to, Code::BadRequest, "is not empty"),
        ("copy".into(), Code::BadRequest, "begin it with /"),
        ("/".into(), Code::BadRequest, "is not empty"),
        ("/proc/copy".into(), Code::Other, "/proc/copy"),
    ];
    for (to, code, words) in table {
        let shown = to.display().to_string();
        let refused = stage.client.backup(&order(to)).await.unwrap_err();
        assert_eq!(refused.code, code, "{shown}: {}", refused.detail);
        assert!(
            refused.detail.contains(words),
            "{shown}: {}",
            refused.detail
        );
    }
    for body in ["", "{}", r#"{"to": "/x", "from": "/y"}"#] {
        let refused = stage.post("/v1/backups", &[], body).await.unwrap_err();
        assert_eq!(refused.code, Code::BadRequest, "{body}: {}", refused.detail);
    }
    stage.end().await;
}
