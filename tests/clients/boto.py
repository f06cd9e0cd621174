"""What programs do with boto3, against the endpoint in SQS_ENDPOINT.

Runs under today's botocore, which speaks JSON, and under one of 2023, which speaks Query and XML: what
they see must not differ. Each function is one story; the first that fails ends the run.
"""

import base64
import concurrent.futures
import hashlib
import json
import os
import sys
import threading
import time
import uuid

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = os.environ["SQS_ENDPOINT"]
ACCOUNT = "000000000000"
sqs = boto3.client(
    "sqs",
    endpoint_url=ENDPOINT,
    region_name="eu-central-1",
    aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "x"),
    aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "x"),
    config=Config(retries={"max_attempts": 0}, max_pool_connections=64),
)


def name(suffix=""):
    return f"q-{uuid.uuid4().hex[:12]}{suffix}"


def create(suffix="", **attributes):
    if suffix:
        attributes["FifoQueue"] = "true"
    return sqs.create_queue(QueueName=name(suffix), Attributes=attributes)["QueueUrl"]


def arn(url):
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return asked["Attributes"]["QueueArn"]


def receive(url, **more):
    return sqs.receive_message(QueueUrl=url, **more).get("Messages", [])


def bodies(messages):
    return [message["Body"] for message in messages]


def refused(code, call, **params):
    """The call is refused with this code; returns the answer."""
    try:
        answer = call(**params)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"not refused with {code}: {answer}")


def a_message_goes_through():
    url = create()
    assert url == f"{ENDPOINT}/{ACCOUNT}/{url.rsplit('/', 1)[1]}", url
    body = "grüße <&> \"quoted\" \r\n\t end"
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageAttributes={
            "colour": {"DataType": "String", "StringValue": "rot & <blau>"},
            "count": {"DataType": "Number.int", "StringValue": "42"},
            "blob": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff\x10"},
        },
        MessageSystemAttributes={
            "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}
        },
    )
    uuid.UUID(sent["MessageId"])
    assert sent["MD5OfMessageBody"] == hashlib.md5(body.encode()).hexdigest()
    assert sent["MD5OfMessageAttributes"] and sent["MD5OfMessageSystemAttributes"]
    (got,) = receive(url, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert got["Body"] == body, got
    assert got["MessageId"] == sent["MessageId"]
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    attributes = got["MessageAttributes"]
    assert attributes["blob"] == {"DataType": "Binary.png", "BinaryValue": b"\x00\xff\x10"}, attributes
    assert attributes["count"] == {"DataType": "Number.int", "StringValue": "42"}
    assert attributes["colour"]["StringValue"] == "rot & <blau>"
    system = got["Attributes"]
    assert system["ApproximateReceiveCount"] == "1"
    assert system["AWSTraceHeader"].startswith("Root=")
    assert abs(int(system["SentTimestamp"]) - time.time() * 1000) < 60_000
    assert "MessageGroupId" not in system and "SequenceNumber" not in system
    assert receive(url) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def some_attributes_can_be_asked_for():
    url = create()
    sqs.send_message(
        QueueUrl=url,
        MessageBody="x",
        MessageAttributes={
            key: {"DataType": "String", "StringValue": key} for key in ["Hello", "Help", "other"]
        },
    )
    (got,) = receive(url, MessageAttributeNames=["Hel.*"], VisibilityTimeout=0)
    assert sorted(got["MessageAttributes"]) == ["Hello", "Help"], got
    (got,) = receive(url, MessageAttributeNames=["other"], VisibilityTimeout=0)
    assert sorted(got["MessageAttributes"]) == ["other"]
    (got,) = receive(url, AttributeNames=["ApproximateReceiveCount"])
    assert got["Attributes"] == {"ApproximateReceiveCount": "3"}, got
    assert "MessageAttributes" not in got


def a_queue_has_attributes():
    url = create()
    seen = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    for key, value in {
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "VisibilityTimeout": "30",
        "SqsManagedSseEnabled": "true",
        "QueueArn": f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{url.rsplit('/', 1)[1]}",
        "ApproximateNumberOfMessages": "0",
    }.items():
        assert seen[key] == value, (key, seen.get(key))
    assert abs(int(seen["CreatedTimestamp"]) - time.time()) < 60
    assert "FifoQueue" not in seen and "RedrivePolicy" not in seen
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={"VisibilityTimeout": "5", "DelaySeconds": "1", "MaximumMessageSize": "1024",
                    "Policy": '{"Version":"2012-10-17","Statement":[]}'},
    )
    seen = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (seen["VisibilityTimeout"], seen["DelaySeconds"]) == ("5", "1")
    assert json.loads(seen["Policy"])["Version"] == "2012-10-17"
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])
    assert "Attributes" not in answer, answer
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x" * 1025)
    refused("InvalidAttributeValue", sqs.set_queue_attributes, QueueUrl=url, Attributes={"DelaySeconds": "901"})
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"Colour": "red"})
    refused("InvalidAttributeName", sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Colour"])
    refused("InvalidAttributeName", sqs.set_queue_attributes, QueueUrl=url, Attributes={"DeduplicationScope": "queue"})


def creating_again_is_fine_if_nothing_differs():
    queue = name()
    first = sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "7"})["QueueUrl"]
    assert sqs.create_queue(QueueName=queue)["QueueUrl"] == first
    assert sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "7"})["QueueUrl"] == first
    refused("QueueAlreadyExists", sqs.create_queue, QueueName=queue, Attributes={"VisibilityTimeout": "8"})
    assert sqs.get_queue_url(QueueName=queue)["QueueUrl"] == first
    sqs.delete_queue(QueueUrl=first)
    gone = "AWS.SimpleQueueService.NonExistentQueue"
    refused(gone, sqs.delete_queue, QueueUrl=first)
    refused(gone, sqs.get_queue_url, QueueName=queue)
    answer = refused(gone, sqs.send_message, QueueUrl=first, MessageBody="x")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    try:
        sqs.send_message(QueueUrl=first, MessageBody="x")
    except sqs.exceptions.QueueDoesNotExist:
        pass
    sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "8"})
    for bad in ["a b", "", "x" * 81, "../x", "a\u202eb", "a.fifo"]:
        try:
            sqs.create_queue(QueueName=bad)
            raise AssertionError(bad)
        except ClientError as error:
            assert 400 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500


def queues_are_listed_in_pages():
    prefix = f"p{uuid.uuid4().hex[:8]}-"
    made = sorted(sqs.create_queue(QueueName=f"{prefix}{i}")["QueueUrl"] for i in range(5))
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == made
    page = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2)
    found = page["QueueUrls"]
    while "NextToken" in page:
        page = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2, NextToken=page["NextToken"])
        found += page["QueueUrls"]
    assert found == made
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix="nothing-begins-so")


def batches_tell_of_each_entry():
    url = create(MaximumMessageSize="1024")
    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "one", "MessageBody": "1"},
            {"Id": "big", "MessageBody": "x" * 2000},
            {"Id": "two", "MessageBody": "2", "MessageAttributes": {"a": {"DataType": "String", "StringValue": "b"}}},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["one", "two"], answer
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["SenderFault"], failed["Code"]) == ("big", True, "InvalidParameterValue"), failed
    got = receive(url, MaxNumberOfMessages=10)
    assert sorted(bodies(got)) == ["1", "2"]
    garbage = {"Id": "bad", "ReceiptHandle": "garbage"}
    entries = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(got)]
    answer = sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**one, "VisibilityTimeout": 100} for one in entries] + [{**garbage, "VisibilityTimeout": 1}]
    )
    assert len(answer["Successful"]) == 2 and answer["Failed"][0]["Code"] == "ReceiptHandleIsInvalid", answer
    answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries + [garbage])
    assert len(answer["Successful"]) == 2 and len(answer["Failed"]) == 1
    prefix = "AWS.SimpleQueueService."
    ten = [{"Id": str(i), "MessageBody": "x"} for i in range(11)]
    refused(prefix + "EmptyBatchRequest", sqs.send_message_batch, QueueUrl=url, Entries=[])
    refused(prefix + "TooManyEntriesInBatchRequest", sqs.send_message_batch, QueueUrl=url, Entries=ten)
    refused(prefix + "BatchEntryIdsNotDistinct", sqs.send_message_batch, QueueUrl=url, Entries=[ten[0], ten[0]])
    refused(prefix + "InvalidBatchEntryId", sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "x"}])
    large = create()
    refused(prefix + "BatchRequestTooLong", sqs.send_message_batch, QueueUrl=large,
            Entries=[{"Id": str(i), "MessageBody": "x" * 600_000} for i in range(2)])
    assert receive(large) == []


def a_large_message_goes_through():
    url = create()
    body = "ä" * 500_000
    sqs.send_message(QueueUrl=url, MessageBody=body)
    (got,) = receive(url)
    assert got["Body"] == body and got["MD5OfBody"] == hashlib.md5(body.encode()).hexdigest()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x" * 1_048_577)


def leases_end_and_can_be_changed():
    url = create(VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="x")
    (first,) = receive(url)
    (again,) = receive(url, WaitTimeSeconds=10, AttributeNames=["All"])
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    assert again["ReceiptHandle"] != first["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=600)
    # The handle of a lease that is over: accepted, and without effect.
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert receive(url, WaitTimeSeconds=2) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=0)
    (third,) = receive(url, VisibilityTimeout=100)
    refused("InvalidParameterValue", sqs.change_message_visibility, QueueUrl=url,
            ReceiptHandle=again["ReceiptHandle"], VisibilityTimeout=5)
    refused("InvalidParameterValue", sqs.change_message_visibility, QueueUrl=url,
            ReceiptHandle=third["ReceiptHandle"], VisibilityTimeout=43_201)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
    other = create()
    refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=other, ReceiptHandle=third["ReceiptHandle"])
    for handle in ["x", "ä", third["ReceiptHandle"][:-1] + "!", third["ReceiptHandle"].swapcase(), "A" * 92]:
        refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)


def a_long_poll_ends_with_a_message():
    url = create()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(receive, url, WaitTimeSeconds=20)
        while not waiting.running():
            pass
        time.sleep(0.3)
        began = time.monotonic()
        sqs.send_message(QueueUrl=url, MessageBody="woken")
        assert bodies(waiting.result()) == ["woken"]
        assert time.monotonic() - began < 10
    began = time.monotonic()
    assert receive(url, WaitTimeSeconds=1) == []
    assert time.monotonic() - began >= 0.9
    for max_messages in [0, 11]:
        refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=max_messages)
    refused("InvalidParameterValue", sqs.receive_message, QueueUrl=url, WaitTimeSeconds=21)


def a_poll_ends_when_its_queue_is_deleted():
    url = create()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(refused, "AWS.SimpleQueueService.NonExistentQueue", sqs.receive_message,
                              QueueUrl=url, WaitTimeSeconds=20)
        time.sleep(0.3)
        began = time.monotonic()
        sqs.delete_queue(QueueUrl=url)
        waiting.result()
        assert time.monotonic() - began < 10


def messages_are_delayed():
    url = create(DelaySeconds="2")
    began = time.monotonic()
    sqs.send_message(QueueUrl=url, MessageBody="later")
    sqs.send_message(QueueUrl=url, MessageBody="now", DelaySeconds=0)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesDelayed"])
    assert counts["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}
    assert bodies(receive(url, MaxNumberOfMessages=10)) == ["now"]
    assert bodies(receive(url, WaitTimeSeconds=20)) == ["later"]
    assert time.monotonic() - began >= 1.9
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", DelaySeconds=901)


def fifo_keeps_order_in_groups():
    url = create(".fifo")
    for i in range(3):
        for group in "ab":
            sqs.send_message(QueueUrl=url, MessageBody=f"{group}{i}", MessageGroupId=group,
                             MessageDeduplicationId=f"{group}{i}")
    got = receive(url, MaxNumberOfMessages=10, AttributeNames=["All"])
    assert [one for one in bodies(got) if one[0] == "a"] == ["a0", "a1", "a2"], bodies(got)
    assert [one for one in bodies(got) if one[0] == "b"] == ["b0", "b1", "b2"]
    numbers = {one["Body"]: one["Attributes"]["SequenceNumber"] for one in got}
    assert len(numbers["a0"]) == 20 and numbers["a0"] < numbers["b0"] < numbers["a1"]
    assert got[0]["Attributes"]["MessageDeduplicationId"] == got[0]["Body"]
    # The group is closed until all of its messages are settled.
    sqs.send_message(QueueUrl=url, MessageBody="a3", MessageGroupId="a", MessageDeduplicationId="a3")
    held = {one["Body"]: one["ReceiptHandle"] for one in got}
    for body in ["a0", "a1"]:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=held[body])
    assert receive(url, MaxNumberOfMessages=10) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["a2"])
    assert bodies(receive(url, MaxNumberOfMessages=10)) == ["a3"]
    # What is given back comes first again, when nothing of its group is held any more.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=held["b0"], VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["b1"])
    assert receive(url, MaxNumberOfMessages=10) == []
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=held["b2"], VisibilityTimeout=0)
    assert bodies(receive(url, MaxNumberOfMessages=10, WaitTimeSeconds=5)) == ["b0", "b2"]
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="x", MessageDeduplicationId="y")
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="y")
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="a",
            MessageDeduplicationId="z", DelaySeconds=5)


def fifo_takes_a_repeat_for_what_it_is():
    url = create(".fifo", ContentBasedDeduplication="true")
    first = sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g")
    second = sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g")
    assert second["MessageId"] == first["MessageId"]
    assert second["SequenceNumber"] == first["SequenceNumber"]
    third = sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g", MessageDeduplicationId="other")
    assert third["MessageId"] != first["MessageId"]
    got = receive(url, MaxNumberOfMessages=10)
    assert bodies(got) == ["same", "same"]
    for one in got:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g")
    assert receive(url) == []
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="same", MessageGroupId="g")
    assert bodies(receive(url)) == ["same"]
    scoped = create(".fifo", ContentBasedDeduplication="true", DeduplicationScope="messageGroup",
                    FifoThroughputLimit="perMessageGroupId")
    for group in ["g", "h", "g"]:
        sqs.send_message(QueueUrl=scoped, MessageBody="same", MessageGroupId=group)
    assert len(receive(scoped, MaxNumberOfMessages=10)) == 2


def a_fifo_handle_expires():
    url = create(".fifo", VisibilityTimeout="1")
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="x")
    (first,) = receive(url)
    (second,) = receive(url, WaitTimeSeconds=10)
    refused("InvalidParameterValue", sqs.delete_message, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])


def groups_on_a_standard_queue_block_nothing():
    url = create()
    for i in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(i), MessageGroupId="tenant")
    (one,) = receive(url, AttributeNames=["MessageGroupId"])
    assert one["Attributes"] == {"MessageGroupId": "tenant"}
    assert len(receive(url, MaxNumberOfMessages=10)) == 2


def dead_letters_arrive_and_go_back():
    dead = create()
    policy = {"deadLetterTargetArn": arn(dead), "maxReceiveCount": "2"}
    url = create(VisibilityTimeout="0", RedrivePolicy=json.dumps(policy))
    seen = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    assert json.loads(seen["RedrivePolicy"]) == {"deadLetterTargetArn": arn(dead), "maxReceiveCount": 2}
    sources = sqs.list_dead_letter_source_queues(QueueUrl=dead)
    assert sources["queueUrls"] == [url], sources
    sent = sqs.send_message(QueueUrl=url, MessageBody="doomed",
                            MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
    for _ in range(2):
        assert bodies(receive(url, WaitTimeSeconds=5)) == ["doomed"]
    (letter,) = receive(dead, WaitTimeSeconds=10, AttributeNames=["All"], MessageAttributeNames=["All"], VisibilityTimeout=0)
    assert receive(url) == []
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(url)
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3", letter
    assert list(letter["MessageAttributes"]) == ["a"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "30"})
    task = sqs.start_message_move_task(SourceArn=arn(dead))
    assert json.loads(base64.b64decode(task["TaskHandle"]))["sourceArn"] == arn(dead)
    (back,) = receive(url, WaitTimeSeconds=10, AttributeNames=["All"])
    assert back["Body"] == "doomed" and "DeadLetterQueueSourceArn" not in back["Attributes"]
    (told,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
    assert told["Status"] == "COMPLETED" and told["ApproximateNumberOfMessagesMoved"] == 1, told
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn(url))
    refused("ResourceNotFoundException", sqs.start_message_move_task,
            SourceArn=f"arn:aws:sqs:eu-central-1:{ACCOUNT}:not-there")
    # Without a policy, nothing dies.
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": ""})
    assert "queueUrls" not in sqs.list_dead_letter_source_queues(QueueUrl=dead) or \
        sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == []


def a_move_keeps_its_rate_and_can_be_cancelled():
    dead, other = create(), create()
    url = create(VisibilityTimeout="0", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 1}))
    for i in range(6):
        sqs.send_message(QueueUrl=url, MessageBody=str(i))
    got = 0
    while got < 6:
        got += len(receive(url, MaxNumberOfMessages=10, WaitTimeSeconds=5))
    began = time.monotonic()
    task = sqs.start_message_move_task(SourceArn=arn(dead), DestinationArn=arn(other), MaxNumberOfMessagesPerSecond=1)
    refused("InvalidParameterValue", sqs.start_message_move_task, SourceArn=arn(dead))
    moved = []
    while len(moved) < 3:
        moved += bodies(receive(other, WaitTimeSeconds=10, VisibilityTimeout=600))
    assert time.monotonic() - began >= 1.5
    (told,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
    assert told["Status"] == "RUNNING" and told["TaskHandle"] == task["TaskHandle"], told
    assert told["MaxNumberOfMessagesPerSecond"] == 1 and told["DestinationArn"] == arn(other)
    sqs.cancel_message_move_task(TaskHandle=task["TaskHandle"])
    (told,) = sqs.list_message_move_tasks(SourceArn=arn(dead))["Results"]
    assert told["Status"] == "CANCELLED" and "TaskHandle" not in told, told
    left = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
    assert int(left["Attributes"]["ApproximateNumberOfMessages"]) >= 1
    refused("InvalidParameterValue", sqs.cancel_message_move_task, TaskHandle=task["TaskHandle"])
    refused("InvalidParameterValue", sqs.cancel_message_move_task, TaskHandle="garbage")


def redrive_policies_are_checked():
    url, fifo = create(), create(".fifo")
    code = "InvalidParameterValue"
    for policy in ["x", "[]", "{}", json.dumps({"deadLetterTargetArn": arn(url)}),
                   json.dumps({"deadLetterTargetArn": "arn:wrong", "maxReceiveCount": 1}),
                   json.dumps({"deadLetterTargetArn": arn(url), "maxReceiveCount": 0}),
                   json.dumps({"deadLetterTargetArn": arn(url), "maxReceiveCount": 1001})]:
        refused(code, sqs.create_queue, QueueName=name(), Attributes={"RedrivePolicy": policy})
    refused(code, sqs.set_queue_attributes, QueueUrl=url,
            Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn(url), "maxReceiveCount": 1})})
    refused("InvalidParameterCombination", sqs.set_queue_attributes, QueueUrl=fifo,
            Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn(url), "maxReceiveCount": 1})})
    gone = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:not-there"
    refused("AWS.SimpleQueueService.NonExistentQueue", sqs.create_queue, QueueName=name(),
            Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": gone, "maxReceiveCount": 1})})


def tags_and_permissions_are_kept():
    made = sqs.create_queue(QueueName=name(), tags={"team": "a"})["QueueUrl"]
    assert sqs.list_queue_tags(QueueUrl=made)["Tags"] == {"team": "a"}
    sqs.tag_queue(QueueUrl=made, Tags={"team": "b", "Team": "c"})
    sqs.untag_queue(QueueUrl=made, TagKeys=["Team", "none"])
    assert sqs.list_queue_tags(QueueUrl=made)["Tags"] == {"team": "b"}
    sqs.untag_queue(QueueUrl=made, TagKeys=["team"])
    assert "Tags" not in sqs.list_queue_tags(QueueUrl=made)
    refused("InvalidParameterValue", sqs.untag_queue, QueueUrl=made, TagKeys=[])
    sqs.add_permission(QueueUrl=made, Label="l", AWSAccountIds=["111111111111"], Actions=["SendMessage"])
    policy = sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["Policy"])["Attributes"]["Policy"]
    (statement,) = json.loads(policy)["Statement"]
    assert statement["Sid"] == "l" and statement["Action"] == "SQS:SendMessage", statement
    refused("InvalidParameterValue", sqs.add_permission, QueueUrl=made, Label="l",
            AWSAccountIds=["111111111111"], Actions=["*"])
    refused("InvalidParameterValue", sqs.remove_permission, QueueUrl=made, Label="other")
    sqs.remove_permission(QueueUrl=made, Label="l")
    assert "Attributes" not in sqs.get_queue_attributes(QueueUrl=made, AttributeNames=["Policy"])


def messages_are_held_against_limits():
    url = create()
    refused("InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody="bad \x01 body") \
        if botocore.__version__ >= "1.31.81" else None
    refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="")

    def attributes(**given):
        return {"QueueUrl": url, "MessageBody": "x", "MessageAttributes": given}

    text = {"DataType": "String", "StringValue": "x"}
    code = "InvalidParameterValue"
    bad = [
        {"AWS.x": text},
        {".x": text},
        {"a b": text},
        {"x" * 257: text},
        {"x": {"DataType": "Strange", "StringValue": "x"}},
        {"x": {"DataType": "String", "StringValue": ""}},
        {"x": {"DataType": "Number", "StringValue": "many"}},
        {"x": {"DataType": "Number", "StringValue": "inf"}},
        {"gristmill-x": text},
        {f"x{i}": text for i in range(11)},
    ]
    for one in bad:
        refused(code, sqs.send_message, **attributes(**one))
    sqs.send_message(**attributes(**{f"grün.{i}": text for i in range(10)}))
    assert len(receive(url, MaxNumberOfMessages=10)) == 1


def a_purge_takes_all():
    url = create()
    for delay in [0, 0, 100]:
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    (held,) = receive(url, VisibilityTimeout=1)
    sqs.purge_queue(QueueUrl=url)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    for counter in ["", "NotVisible", "Delayed"]:
        assert counts[f"ApproximateNumberOfMessages{counter}"] == "0", counts
    assert receive(url, WaitTimeSeconds=2) == []
    sqs.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])


def many_share_the_work():
    url = create()
    sent, got, lock = set(), [], threading.Lock()
    for batch in range(20):
        answer = sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": f"{batch}-{i}"} for i in range(10)]
        )
        sent |= {one["MessageId"] for one in answer["Successful"]}
    assert len(sent) == 200

    def work():
        while True:
            messages = receive(url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            if not messages:
                return
            with lock:
                got.extend(one["MessageId"] for one in messages)
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(messages)],
            )

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert len(got) == 200 and set(got) == sent


def the_account_is_told():
    sts = boto3.client("sts", endpoint_url=ENDPOINT, region_name="eu-central-1",
                       aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "x"),
                       aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "x"))
    assert sts.get_caller_identity()["Account"] == ACCOUNT


STORIES = [
    story for story in list(globals().values())
    if callable(story) and getattr(story, "__module__", None) == "__main__"
    and story.__code__.co_argcount == 0 and story.__name__ not in {"name"}
]

if __name__ == "__main__":
    wanted = sys.argv[1:]
    for story in STORIES:
        if not wanted or story.__name__ in wanted:
            began = time.monotonic()
            story()
            print(f"{story.__name__}: {time.monotonic() - began:.2f} s", flush=True)
    print(f"all is well with botocore {botocore.__version__}")
