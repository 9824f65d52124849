"""wechatpy's mini-program client talks to the simulator as it would to WeChat."""

import hashlib
import json

import pytest
from wechatpy.client import WeChatClient
from wechatpy.crypto import WeChatWxaCrypto
from wechatpy.exceptions import APILimitedException, InvalidAppIdException, WeChatClientException

APPID = "wx1e7e0f000000c0de"
SECRET = "5ec2e700000000000000000000000077"

pytestmark = pytest.mark.filterwarnings("ignore:.*_get.*:DeprecationWarning")


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
