// A fixture for the suite that compares the languages; handlers/probe says what it has to do.

import { handler, log, Message, ok, Options, Result, retry, sendBytes } from "../../gristmill";

handler((message: Message): Result => {
  const type = message.messageType;
  if (type == "fail") return retry("the probe fails, as it was asked to");
  if (type == "crash") log(message.body[message.body.length].toString());
  const echo = new Options();
  echo.contentType = message.contentType;
  echo.attributes = message.attributes;
  echo.group = message.group;
  echo.correlationId = message.correlationId;
  const problem = sendBytes("echoes", message.body, echo);
  return problem === null ? ok() : retry(problem);
});
