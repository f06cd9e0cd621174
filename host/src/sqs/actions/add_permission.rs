//! Adds a statement to the policy of a queue, which is kept and not enforced.

use gristmill_queue::QueueName;
use serde_json::{Map, Value, json};

use super::{change_made, nothing};
use crate::queues::Made;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};

/// The most actions of one statement.
const MOST: usize = 7;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let label = ask.params.need("Label")?;
    let accounts = ask.params.list("AWSAccountIds")?;
    let actions = ask.params.list("Actions")?;
    if actions.is_empty() {
        return Err(SqsError::missing("Actions"));
    }
    if accounts.is_empty() {
        let message = "Value [] for parameter PrincipalId is invalid. Reason: Unable to verify.";
        return Err(SqsError::parameter(message));
    }
    if actions.len() > MOST {
        let message = format!(
            "{} Actions were found, maximum allowed is {MOST}.",
            actions.len()
        );
        return Err(SqsError::new(Kind::OverLimit, message));
    }
    let label_fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if label.len() > 80 || !label.bytes().all(label_fits) {
        return Err(SqsError::value(
            label,
            "Label",
            "It has 1 to 80 letters, digits, hyphens and underscores.",
        ));
    }
    let change = |made: &mut Made| add(made, ask, &name, label, &accounts, &actions);
    change_made(ask, &name, change).await?;
    Ok(nothing())
}

fn add(
    made: &mut Made,
    ask: &Ask<'_>,
    name: &QueueName,
    label: &str,
    accounts: &[&str],
    actions: &[&str],
) -> Result<(), SqsError> {
    let arn = ask.place.arn(name);
    let mut policy = read(made).unwrap_or_else(|| {
        let fresh = json!({
            "Version": "2008-10-17",
            "Id": format!("{arn}/SQSDefaultPolicy"),
            "Statement": [],
        });
        fresh.as_object().cloned().unwrap_or_default()
    });
    let statements = policy.entry("Statement").or_insert_with(|| json!([]));
    if !statements.is_array() {
        *statements = json!([statements.take()]);
    }
    let Some(statements) = statements.as_array_mut() else {
        return Ok(());
    };
    if statements
        .iter()
        .any(|one| one.get("Sid") == Some(&json!(label)))
    {
        let reason = "Already exists.";
        return Err(SqsError::value(label, "Label", reason));
    }
    let principals = accounts
        .iter()
        .map(|account| json!(format!("arn:aws:iam::{account}:root")));
    let named = actions.iter().map(|action| {
        json!(if *action == "*" {
            "SQS:*".to_owned()
        } else {
            format!("SQS:{action}")
        })
    });
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": { "AWS": one_or_all(principals.collect()) },
        "Action": one_or_all(named.collect()),
        "Resource": arn,
    }));
    write(made, policy);
    Ok(())
}

/// A single one stands alone.
fn one_or_all(mut values: Vec<Value>) -> Value {
    match (values.len(), values.pop()) {
        (1, Some(one)) => one,
        (_, last) => {
            values.extend(last);
            Value::Array(values)
        }
    }
}

/// The policy of a queue, if it has one.
pub fn read(made: &Made) -> Option<Map<String, Value>> {
    let text = made.attributes.get("Policy")?;
    serde_json::from_str(text).ok()
}

/// Keeps the policy of a queue; none, if it has no statement.
pub fn write(made: &mut Made, policy: Map<String, Value>) {
    let statements = policy.get("Statement").and_then(Value::as_array);
    if statements.is_none_or(Vec::is_empty) {
        made.attributes.remove("Policy");
        return;
    }
    let text = Value::Object(policy).to_string();
    made.attributes.insert("Policy".to_owned(), text);
}
