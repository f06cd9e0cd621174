//! The one action of STS: clients ask it for the account.

use serde_json::{Map, Value};

use crate::sqs::Ask;

pub fn run(ask: &Ask<'_>) -> Map<String, Value> {
    let account = &ask.place.account;
    Map::from_iter([
        ("Account".to_owned(), account.as_str().into()),
        (
            "Arn".to_owned(),
            format!("arn:aws:iam::{account}:root").into(),
        ),
        ("UserId".to_owned(), account.as_str().into()),
    ])
}
