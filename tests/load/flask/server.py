"""The server of the tutorial that thousands of mini-programs were written after, as it stands there.

It exchanges the code, decrypts the user's data and answers with it. It stores nothing and signs nothing.
Run with: WECHAT_URL=http://127.0.0.1:8082 APPID=wx... APP_SECRET=... gunicorn --workers 2 server:app
"""

import base64
import json
import os

import requests
from Crypto.Cipher import AES
from flask import Flask, request

APPID = os.environ["APPID"]
APP_SECRET = os.environ["APP_SECRET"]
CODE_TO_SESSION = os.environ["WECHAT_URL"] + "/sns/jscode2session"

app = Flask(__name__)


class WXBizDataCrypt:
    """WeChat's own sample of how user data is decrypted."""

    def __init__(self, appid, session_key):
        self.appid = appid
        self.session_key = session_key

    def decrypt(self, encrypted_data, iv):
        cipher = AES.new(base64.b64decode(self.session_key), AES.MODE_CBC, base64.b64decode(iv))
        decrypted = json.loads(self._unpad(cipher.decrypt(base64.b64decode(encrypted_data))))
        if decrypted["watermark"]["appid"] != self.appid:
            raise ValueError("another app's data")
        return decrypted

    @staticmethod
    def _unpad(text):
        return text[: -text[-1]]


@app.route("/user/wxlogin", methods=["GET", "POST"])
def user_wxlogin():
    data = json.loads(request.get_data().decode("utf-8"))
    parameters = {
        "appid": APPID,
        "secret": APP_SECRET,
        "js_code": data["platCode"],
        "grant_type": "authorization_code",
    }
    session = requests.get(CODE_TO_SESSION, params=parameters, timeout=2).json()
    crypt = WXBizDataCrypt(APPID, session["session_key"])
    info = data["platUserInfoMap"]
    userinfo = crypt.decrypt(info["encryptedData"], info["iv"])
    reply = {"code": 200, "msg": "登錄成功", "userinfo": userinfo}
    return json.dumps(reply, sort_keys=True, indent=4, ensure_ascii=False)
