#!/bin/sh
# What a person does with the AWS CLI: $1 is the command, $2 the endpoint.
set -eu
sqs() { "$aws" --endpoint-url "$endpoint" --region us-east-1 --output text sqs "$@"; }
aws=$1
endpoint=$2
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-x} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-x}

queue=cli-$$
url=$(sqs create-queue --queue-name "$queue" --attributes VisibilityTimeout=40)
test "$(sqs get-queue-url --queue-name "$queue")" = "$url"
sqs send-message --queue-url "$url" --message-body 'hello from the shell' \
    --message-attributes '{"n":{"DataType":"Number","StringValue":"7"}}' >/dev/null
test "$(sqs get-queue-attributes --queue-url "$url" --attribute-names ApproximateNumberOfMessages --query 'Attributes.ApproximateNumberOfMessages')" = 1
got=$(sqs receive-message --queue-url "$url" --wait-time-seconds 5 --message-attribute-names All \
    --query 'Messages[0].[Body,MessageAttributes.n.StringValue,ReceiptHandle]')
body=$(printf '%s' "$got" | cut -f1)
number=$(printf '%s' "$got" | cut -f2)
handle=$(printf '%s' "$got" | cut -f3)
test "$body" = 'hello from the shell'
test "$number" = 7
sqs delete-message --queue-url "$url" --receipt-handle "$handle"
sqs purge-queue --queue-url "$url"
sqs list-queues --queue-name-prefix "$queue" | grep -q "$queue"
sqs delete-queue --queue-url "$url"
if sqs get-queue-url --queue-name "$queue" 2>/dev/null; then
    echo "the queue is still there" >&2
    exit 1
fi
test "$("$aws" --endpoint-url "$endpoint" --region us-east-1 --output text sts get-caller-identity --query Account)" = 000000000000
echo "all is well with $("$aws" --version)"
