"""The gateway that `run` started, its simulated WeChat, and logins over HTTP."""

import json
import os
import sys
from pathlib import Path

import pytest
import requests

TENANTS = json.loads((Path(__file__).parent / "tenants.json").read_text())
# The files that the documents show are the tested ones.
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "verify"))


class Listen:
    """Where the gateway and its simulator answer."""

    def __init__(self):
        try:
            listen = json.loads(Path(os.environ["WXGATE_LISTEN"]).read_text())
        except KeyError:
            pytest.exit("these tests are started by tests/interop/run")
        self.public = f"http://{listen['public']}"
        self.simulator = f"http://{listen['simulator']}"
        self.admin_url = f"http://{listen['admin']}"
        self.admin_key = (Path(os.environ["WXGATE_LISTEN"]).parent / "admin-key").read_text().strip()
        self.security_event = Path(os.environ["WXGATE_SECURITY_EVENT"]).read_text().strip()

    def sim(self, path, **body):
        """Steers the simulator."""
        reply = requests.post(f"{self.simulator}/sim/{path}", json=body, timeout=10)
        reply.raise_for_status()
        return reply.json()

    def admin(self, method, path, **body):
        """An operation of the operator's."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        reply = requests.request(method, f"{self.admin_url}/admin/v1/{path}", json=body, headers=headers, timeout=10)
        assert reply.ok, reply.text
        return reply.json() if reply.text else None

    def remove_app(self, appid):
        """An app that the simulator knew, and knows no more."""
        app = {"appid": appid, "secret": "0123456789abcdef0123456789abcdef"}
        requests.post(f"{self.simulator}/sim/apps", json=app, timeout=10).raise_for_status()
        requests.delete(f"{self.simulator}/sim/apps/{appid}", timeout=10).raise_for_status()

    def login(self, appid):
        """A login of somebody new."""
        code = self.sim("codes", appid=appid)["code"]
        reply = requests.post(f"{self.public}/v1/apps/{appid}/login", json={"code": code}, timeout=10)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def issuer(self, tenant):
        return f"{self.public}/t/{tenant}"


def forged():
    """What the forge signs."""
    return requests.get(f"{os.environ['WXGATE_FORGE']}/tokens", timeout=10).json()


@pytest.fixture(scope="session")
def listen():
    return Listen()
