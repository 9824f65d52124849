"""Our webhooks are verified by the library of Standard Webhooks, with the file of docs/verify, and by node with its own."""

import http.server
import json
import os
import queue
import subprocess
import threading
from pathlib import Path

import python_webhook
import pytest
import requests

APP = "wx000000000000de01"
NODE = """
import { receive } from "./docs/verify/node_webhook.mjs";
import { readFileSync } from "node:fs";
const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
console.log(receive(secret, headers, body).type);
"""


@pytest.fixture
def told(listen):
    """What a receiver is told of a login, and the secret of its webhook."""
    requests_told = queue.Queue()

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            requests_told.put(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ends = json.loads(Path(os.environ["WXGATE_LISTEN"]).read_text())
    key = (Path(os.environ["WXGATE_LISTEN"]).parent / "admin-key").read_text().strip()
    admin = {"authorization": f"Bearer {key}"}
    hook = {"tenant": "demo", "name": "interop", "url": f"http://127.0.0.1:{server.server_port}/"}
    made = requests.post(f"http://{ends['admin']}/admin/v1/webhooks", json=hook, headers=admin, timeout=10)
    assert made.status_code == 201, made.text
    listen.login(APP)
    headers, body = requests_told.get(timeout=60)
    yield made.json()["secret"], headers, body
    gone = requests.delete(f"http://{ends['admin']}/admin/v1/webhooks/{made.json()['id']}", headers=admin, timeout=10)
    assert gone.status_code == 204, gone.text
    server.shutdown()


def test_an_event_is_verified_by_other_peoples_code(told):
    secret, headers, body = told
    event = python_webhook.receive(secret, headers, body)
    assert event["type"] == "user.created" and event["data"]["appid"] == APP
    assert python_webhook.receive(secret, headers, body) is None
    for wrong in (body + b" ", b"{}"):
        with pytest.raises(python_webhook.WebhookVerificationError):
            python_webhook.receive(secret, {**headers, "webhook-id": "another"}, wrong)
    request = json.dumps({"secret": secret, "headers": headers, "body": body.decode()})
    root = Path(__file__).parents[2]
    node = ["node", "--input-type=module", "--eval", NODE]
    said = subprocess.run(node, input=request, capture_output=True, text=True, cwd=root, timeout=60, check=True)
    assert said.stdout.strip() == "user.created"
