"""A client with nothing but Python's standard library: what it does not expect ends it with a traceback."""

import http.client
import json
import sys
import urllib.error
import urllib.request

url, token = sys.argv[1], sys.argv[2]


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def ask(method, path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("Authorization", f"Bearer {token}")
    request = urllib.request.Request(url + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, lower(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, lower(error.headers), error.read()


def expect(status, answer):
    assert answer[0] == status, answer
    return json.loads(answer[2]) if answer[2] else None


sent = expect(201, ask("POST", "/v1/queues/orders/messages", b"\xff\x00 bytes", Content_Type="image/x", Idempotency_Key="k"))
again = expect(201, ask("POST", "/v1/queues/orders/messages", b"\xff\x00 bytes", Content_Type="image/x", Idempotency_Key="k"))
assert (again["id"], again["duplicate"]) == (sent["id"], True), again
status, headers, body = ask("GET", f"/v1/messages/{sent['id']}/body")
assert (status, body, headers["content-type"]) == (200, b"\xff\x00 bytes", "image/x"), headers

batch = {"messages": [{"body": str(n), "group": "g"} for n in range(100)]}
items = expect(201, ask("POST", "/v1/queues/orders/messages/batch", json.dumps(batch).encode(), Content_Type="application/json"))["items"]
assert len(items) == 100
event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "placed", "data": {"n": 1}}
made = expect(201, ask("POST", "/v1/queues/orders/messages", json.dumps(event).encode(), Content_Type="application/cloudevents+json"))
shown = expect(200, ask("GET", f"/v1/messages/{made['id']}"))
assert shown["envelope"]["type"] == "placed" and json.loads(shown["body"]) == {"n": 1}, shown
twice = expect(201, ask("POST", "/v1/queues/orders/messages", b'{"n":1}', Content_Type="application/json",
                        ce_specversion="1.0", ce_id="1", ce_source="/shop", ce_type="placed"))
assert (twice["id"], twice["duplicate"]) == (made["id"], True), twice
several = json.dumps([dict(event, id=str(n)) for n in range(2, 5)]).encode()
assert len(expect(201, ask("POST", "/v1/queues/orders/messages", several, Content_Type="application/cloudevents-batch+json"))["items"]) == 3

page = expect(200, ask("GET", "/v1/queues?limit=1"))
rest = expect(200, ask("GET", f"/v1/queues?cursor={page['next']}"))
assert [queue["name"] for queue in page["items"] + rest["items"]] == ["invoices", "orders"], (page, rest)

for status, code, answer in [
    (401, "unauthorized", ask("GET", "/v1/queues", Authorization="Bearer gm_wrong")),
    (404, "queue-not-found", ask("POST", "/v1/queues/absent/messages", b"x")),
    (404, "not-found", ask("GET", "/v1/absent")),
    (405, "method-not-allowed", ask("PUT", "/v1/queues", b"x")),
    (415, "unsupported-media-type", ask("POST", "/v1/queues/orders/purge", b"a=b")),
    (400, "bad-request", ask("POST", "/v1/queues/orders/purge", b"[", Content_Type="application/json")),
    (400, "bad-request", ask("GET", "/v1/queues/a%2Fb/messages")),
    (400, "bad-request", ask("GET", "/v1/queues/%00/messages")),
    (400, "bad-request", ask("GET", "/v1/queues/" + "q" * 81 + "/messages")),
    (400, "bad-request", ask("GET", "/v1/queues/%E2%80%AEq/messages")),
    (400, "bad-request", ask("GET", "/v1/queues?limit=-1")),
    (400, "bad-request", ask("GET", "/v1/queues?limit=99999999999999999999999")),
    (400, "bad-request", ask("POST", "/v1/queues/orders/messages", b"x", Gristmill_Priority="10")),
]:
    problem = expect(status, answer)
    assert answer[1]["content-type"] == "application/problem+json", answer
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["type"] == f"urn:gristmill:problem:{code}" and problem["detail"], problem

# Too large, said before any of it is sent.
connection = http.client.HTTPConnection(url.split("//")[1], timeout=60)
connection.putrequest("POST", "/v1/queues/orders/messages")
connection.putheader("Authorization", f"Bearer {token}")
connection.putheader("Content-Length", str(1 << 40))
connection.putheader("Expect", "100-continue")
connection.endheaders()
answer = connection.getresponse()
assert answer.status == 413, answer.status

depths = expect(200, ask("GET", "/v1/queues/orders"))
assert depths["totals"]["sent"] == 105, depths
document = expect(200, ask("GET", "/openapi.json"))
assert document["openapi"].startswith("3.1"), document
print("all as expected")
