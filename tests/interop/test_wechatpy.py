"""wechatpy's mini-program client talks to the simulator as it would to WeChat."""

import hashlib
import json

import time
import uuid

import pytest
import requests
from requests.adapters import HTTPAdapter
from wechatpy.client import WeChatClient
from wechatpy.crypto import WeChatCrypto, WeChatWxaCrypto
from wechatpy.exceptions import (
    APILimitedException,
    InvalidAppIdException,
    InvalidSignatureException,
    WeChatClientException,
)
from wechatpy.utils import WeChatSigner, check_signature

APPID = "wx1e7e0f000000c0de"
SECRET = "5ec2e700000000000000000000000077"

pytestmark = pytest.mark.filterwarnings("ignore:.*_get.*:DeprecationWarning")


class ToSimulator(HTTPAdapter):
    """What a resolver would do that knows another api.weixin.qq.com."""

    def __init__(self, simulator):
        super().__init__()
        self.simulator = simulator

    def send(self, request, **kwargs):
        request.url = request.url.replace("https://api.weixin.qq.com", self.simulator, 1)
        return super().send(request, **kwargs)


def client(listen, appid=APPID, secret=SECRET):
    # Every call of wechatpy carries an access_token, wanted or not; WeChat ignores it here.
    client = WeChatClient(appid, secret, access_token="not-needed", timeout=10, auto_retry=False)
    client.wxa.API_BASE_URL = f"{listen.simulator}/"
    return client


@pytest.fixture(scope="module")
def wxa(listen):
    listen.sim("apps", appid=APPID, secret=SECRET, union_group="interop")
    return client(listen).wxa


def refusal(wxa, code):
    with pytest.raises(WeChatClientException) as refused:
        wxa.code_to_session(code)
    assert "rid: " in refused.value.errmsg
    return refused.value.errcode


def login(listen, wxa, **person):
    issued = listen.sim("codes", appid=APPID, **person)
    session = wxa.code_to_session(issued["code"])
    assert session["openid"] == issued["openid"]
    return session


def test_a_code_gives_a_session(listen, wxa):
    session = login(listen, wxa)
    assert set(session) == {"openid", "session_key", "unionid"}
    assert len(session["session_key"]) == 24


def test_a_code_works_once(listen, wxa):
    code = listen.sim("codes", appid=APPID)["code"]
    wxa.code_to_session(code)
    assert refusal(wxa, code) == 40163


def test_codes_that_are_unknown_foreign_or_old_are_invalid(listen, wxa):
    assert refusal(wxa, "nobody-gave-me-this") == 40029
    assert refusal(wxa, listen.sim("codes", appid="wx000000000000de01")["code"]) == 40029
    assert refusal(wxa, "") == 41008


def test_a_wrong_secret_and_a_wrong_appid_are_told_apart(listen, wxa):
    code = listen.sim("codes", appid=APPID)["code"]
    assert refusal(client(listen, secret="0" * 32).wxa, code) == 40125
    # The WeChat of a trial takes up an appid that it hears for the first time, but none that was removed.
    listen.remove_app("wx00000000000none")
    assert refusal(client(listen, appid="wx00000000000none").wxa, code) == 40013
    wxa.code_to_session(code)  # neither used it up


def test_limits_and_strings_for_numbers(listen, wxa):
    code = listen.sim("codes", appid=APPID)["code"]
    listen.sim("faults", appid=APPID, route="jscode2session", kind="quota", errcode=45009)
    with pytest.raises(APILimitedException):
        wxa.code_to_session(code)
    listen.sim("faults", appid=APPID, route="jscode2session", kind="string_errcode")
    assert refusal(wxa, code) == 40029


@pytest.mark.parametrize("kind, field", [("user_info", "nickName"), ("phone", "phoneNumber"), ("werun", "stepInfoList")])
def test_wechatpy_opens_what_the_simulator_sealed(listen, wxa, kind, field):
    session = login(listen, wxa)
    sealed = listen.sim("encrypt", appid=APPID, openid=session["openid"], kind=kind)
    opened = WeChatWxaCrypto(session["session_key"], sealed["iv"], APPID).decrypt_message(sealed["encryptedData"])
    assert opened[field]
    assert opened["watermark"]["appid"] == APPID


def test_raw_data_is_signed_with_the_session_key(listen, wxa):
    session = login(listen, wxa)
    sealed = listen.sim("encrypt", appid=APPID, openid=session["openid"], kind="user_info", nickname="小明 🎈")
    signature = hashlib.sha1((sealed["rawData"] + session["session_key"]).encode()).hexdigest()
    assert signature == sealed["signature"]
    assert json.loads(sealed["rawData"])["nickName"] == "小明 🎈"


def test_data_of_another_app_is_refused(listen, wxa):
    session = login(listen, wxa)
    sealed = listen.sim(
        "encrypt", appid=APPID, openid=session["openid"], kind="user_info", watermark_appid="wx000000000000de02"
    )
    with pytest.raises(InvalidAppIdException):
        WeChatWxaCrypto(session["session_key"], sealed["iv"], APPID).decrypt_message(sealed["encryptedData"])


def test_the_next_login_changes_the_key(listen, wxa):
    old = login(listen, wxa)
    new = login(listen, wxa, openid=old["openid"])
    assert new["session_key"] != old["session_key"]
    sealed = listen.sim("encrypt", appid=APPID, openid=old["openid"], kind="user_info")
    WeChatWxaCrypto(new["session_key"], sealed["iv"], APPID).decrypt_message(sealed["encryptedData"])
    with pytest.raises(Exception):  # whatever garbage looks like: bad padding, bad JSON, bad text
        WeChatWxaCrypto(old["session_key"], sealed["iv"], APPID).decrypt_message(sealed["encryptedData"])


@pytest.fixture
def backend(listen, wxa):
    """A client that fetches its own access_token."""
    backend = WeChatClient(APPID, SECRET, timeout=10)
    backend._http.mount("https://api.weixin.qq.com/", ToSimulator(listen.simulator))
    return backend


def phone_number(backend, code):
    url = "https://api.weixin.qq.com/wxa/business/getuserphonenumber"
    return backend.post(url, data={"code": code})["phone_info"]


def test_an_access_token_is_fetched_and_used(listen, backend):
    token = backend.fetch_access_token()
    assert token["expires_in"] == 7200 and backend.access_token == token["access_token"]
    issued = listen.sim("phone-codes", appid=APPID)
    phone = phone_number(backend, issued["code"])
    assert phone["purePhoneNumber"] == issued["phone"] and phone["watermark"]["appid"] == APPID
    with pytest.raises(WeChatClientException) as refused:
        phone_number(backend, "nobody-gave-me-this")
    assert refused.value.errcode == 40029


def test_an_access_token_that_ended_is_fetched_anew(listen, backend):
    old = backend.fetch_access_token()["access_token"]
    listen.sim("tokens/end", appid=APPID)
    issued = listen.sim("phone-codes", appid=APPID)
    assert phone_number(backend, issued["code"])["purePhoneNumber"] == issued["phone"]
    assert backend.access_token != old


def test_a_token_for_a_wrong_secret_is_not_given(listen, wxa):
    backend = WeChatClient(APPID, "0" * 32, timeout=10)
    backend._http.mount("https://api.weixin.qq.com/", ToSimulator(listen.simulator))
    with pytest.raises(WeChatClientException) as refused:
        backend.fetch_access_token()
    assert refused.value.errcode == 40125


@pytest.mark.parametrize("kind", ["extra_field", "content_type", "escaped_slashes"])
def test_odd_answers_are_answers(listen, wxa, kind):
    issued = listen.sim("codes", appid=APPID)
    listen.sim("faults", appid=APPID, route="jscode2session", kind=kind)
    session = wxa.code_to_session(issued["code"])
    assert session["openid"] == issued["openid"] and len(session["session_key"]) == 24


class Push:
    """An app that takes pushes, seen from WeChat: what it is pushed, wechatpy encrypts and signs."""

    def __init__(self, listen, appid):
        self.listen, self.appid = listen, appid
        self.url = f"{listen.public}/wechat/push/{appid}"
        settings = listen.admin("PUT", f"apps/{appid}/push", mode="safe")
        self.token, self.key = settings["token"], settings["encoding_aes_key"]
        self.crypto = WeChatCrypto(self.token, self.key, appid)

    def signature(self, *parts):
        signer = WeChatSigner()
        signer.add_data(self.token, *parts)
        return signer.signature

    def send(self, message, crypto=None):
        nonce, timestamp = uuid.uuid4().hex, str(int(time.time()))
        body = (crypto or self.crypto).encrypt_message(message, nonce, timestamp)
        encrypt = body.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
        query = {
            "timestamp": timestamp,
            "nonce": nonce,
            "encrypt_type": "aes",
            "msg_signature": self.signature(timestamp, nonce, encrypt),
        }
        return requests.post(self.url, params=query, data=body, timeout=10)


@pytest.fixture(scope="module")
def push(listen):
    return Push(listen, "wx000000000000de01")


def event(name, openid, **more):
    fields = {
        "ToUserName": "gh_870882ca4b1",
        "FromUserName": "oPushService",
        "MsgType": "event",
        "Event": name,
        "OpenID": openid,
        "AppID": "wx000000000000de01",
        **more,
    }
    elements = "".join(f"<{field}><![CDATA[{value}]]></{field}>" for field, value in fields.items())
    return f"<xml>{elements}<CreateTime>{int(time.time())}</CreateTime></xml>"


def me(listen, login):
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    return requests.get(f"{listen.public}/v1/me", headers=headers, timeout=10)


def test_wechatpy_verifies_the_address(push):
    nonce, timestamp = uuid.uuid4().hex, str(int(time.time()))
    signature = push.signature(timestamp, nonce)
    check_signature(push.token, signature, timestamp, nonce)
    query = {"signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": "7039307611572914232"}
    reply = requests.get(push.url, params=query, timeout=10)
    assert (reply.status_code, reply.text) == (200, "7039307611572914232")
    reply = requests.get(push.url, params={**query, "nonce": "other"}, timeout=10)
    assert (reply.status_code, reply.text) == (403, "Forbidden")


def test_what_wechatpy_pushes_is_carried_out(listen, push):
    login = listen.login("wx000000000000de01")
    openid = login["user"]["openid"]
    assert me(listen, login).status_code == 200
    reply = push.send(event("user_authorization_revoke", openid, RevokeInfo="8"))
    assert (reply.status_code, reply.text) == (200, "success")
    assert me(listen, login).status_code == 200
    reply = push.send(event("user_authorization_cancellation", openid))
    assert (reply.status_code, reply.text) == (200, "success")
    assert me(listen, login).status_code == 401


def test_what_wechatpy_encrypted_for_others_is_refused(listen, push):
    login = listen.login("wx000000000000de01")
    message = event("user_authorization_cancellation", login["user"]["openid"])
    other_app = WeChatCrypto(push.token, push.key, "wx000000000000de02")
    other_key = WeChatCrypto(push.token, "A" * 43, push.appid)
    for crypto in (other_app, other_key):
        assert push.send(message, crypto).status_code == 403
    assert me(listen, login).status_code == 200


@pytest.mark.parametrize("mode", ["safe", "compatible"])
def test_wechatpy_opens_what_the_simulator_pushes(listen, push, mode):
    message = {"Event": "user_info_modified", "OpenID": "oSomebody"}
    pushed = listen.sim(
        "push", appid=push.appid, token=push.token, encoding_aes_key=push.key, mode=mode, format="xml", message=message
    )["push"]
    query = dict(pair.split("=") for pair in pushed["query"].split("&"))
    stamp = (query["timestamp"], query["nonce"])
    opened = push.crypto.decrypt_message(pushed["body"], query["msg_signature"], *stamp)
    assert "<Event><![CDATA[user_info_modified]]></Event>" in opened
    with pytest.raises(InvalidSignatureException):
        push.crypto.decrypt_message(pushed["body"], query["signature"], *stamp)
