// What a program does with the AWS SDK for JavaScript, and with sqs-consumer, against the endpoint in
// SQS_ENDPOINT. The SDK compares the MD5 sums by itself.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// The packages lie where the tests have installed them.
const require = createRequire(process.env.CLIENTS_NODE + "/");
const {
  ChangeMessageVisibilityCommand, CreateQueueCommand, DeleteMessageCommand, DeleteQueueCommand,
  GetQueueAttributesCommand, QueueDoesNotExist, ReceiveMessageCommand, SQSClient, SendMessageBatchCommand,
  SendMessageCommand,
} = require("@aws-sdk/client-sqs");
const { Consumer } = require("sqs-consumer");

const sqs = new SQSClient({
  endpoint: process.env.SQS_ENDPOINT,
  region: "eu-central-1",
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "x",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "x",
  },
  maxAttempts: 1,
});
const name = `js-${process.pid}-${Date.now()}`;
const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: name, Attributes: { VisibilityTimeout: "30" } }));

const sent = await sqs.send(new SendMessageCommand({
  QueueUrl,
  MessageBody: "grüße <&> \r\n",
  MessageAttributes: {
    text: { DataType: "String", StringValue: "ü" },
    bytes: { DataType: "Binary", BinaryValue: new Uint8Array([0, 255, 1]) },
  },
}));
const { Messages } = await sqs.send(new ReceiveMessageCommand({
  QueueUrl, MessageAttributeNames: ["All"], MessageSystemAttributeNames: ["All"], WaitTimeSeconds: 5,
}));
assert.equal(Messages.length, 1);
assert.equal(Messages[0].MessageId, sent.MessageId);
assert.equal(Messages[0].Body, "grüße <&> \r\n");
assert.deepEqual([...Messages[0].MessageAttributes.bytes.BinaryValue], [0, 255, 1]);
assert.equal(Messages[0].Attributes.ApproximateReceiveCount, "1");
await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle, VisibilityTimeout: 60 }));
await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle }));

// A consumer handles what comes, in batches, one of which fails once.
const wanted = new Set(Array.from({ length: 20 }, (_, i) => `job ${i}`));
for (let at = 0; at < 20; at += 10) {
  await sqs.send(new SendMessageBatchCommand({
    QueueUrl,
    Entries: Array.from({ length: 10 }, (_, i) => ({ Id: `${i}`, MessageBody: `job ${at + i}` })),
  }));
}
const failing = new Set(["job 7"]);
await new Promise((resolve, reject) => {
  const consumer = Consumer.create({
    queueUrl: QueueUrl,
    sqs,
    batchSize: 10,
    waitTimeSeconds: 1,
    terminateVisibilityTimeout: true,
    handleMessage: async (message) => {
      if (failing.delete(message.Body)) throw new Error("not yet");
      wanted.delete(message.Body);
      if (wanted.size === 0) consumer.stop();
      return message;
    },
  });
  consumer.on("error", reject);
  consumer.on("processing_error", () => {});
  consumer.on("stopped", resolve);
  consumer.start();
});
assert.equal(failing.size, 0);
let left;
do {
  ({ Attributes: left } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] })));
} while (left.ApproximateNumberOfMessages !== "0" || left.ApproximateNumberOfMessagesNotVisible !== "0");
await sqs.send(new DeleteQueueCommand({ QueueUrl }));
const gone = await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "x" })).catch((error) => error);
assert.ok(gone instanceof QueueDoesNotExist, `${gone}`);
assert.equal(gone.Code, "AWS.SimpleQueueService.NonExistentQueue");
console.log("all is well with the SDK for JavaScript");
