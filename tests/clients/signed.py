"""Who is let in at an endpoint that wants signatures: by boto3, which signs."""

import os

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError


def client(key, secret, **more):
    return boto3.client(
        "sqs",
        endpoint_url=os.environ["SQS_ENDPOINT"],
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, **more),
    )


def code(call, **params):
    """What a call is refused with; nothing if it is not."""
    try:
        call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"]


key, secret = os.environ["READER"].split()
url = client(key, secret).get_queue_url(QueueName="declared")["QueueUrl"]
assert code(client(key, secret).get_queue_attributes, QueueUrl=url, AttributeNames=["All"]) is None
assert code(client(key, secret).send_message, QueueUrl=url, MessageBody="x") == "AccessDenied"
assert code(client(key, secret).delete_queue, QueueUrl=url) == "AccessDenied"
assert code(client(key, secret).create_queue, QueueName="other") == "AccessDenied"
assert code(client(key, "another").list_queues) == "SignatureDoesNotMatch"
assert code(client("AKIANOBODY", secret).list_queues) == "InvalidClientTokenId"
unsigned = client(key, secret, signature_version=UNSIGNED)
assert code(unsigned.list_queues) == "MissingAuthenticationToken"
print("all is well")
