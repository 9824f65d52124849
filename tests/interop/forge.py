"""An issuer that wxgate never is: its tokens are right but for one thing each, and signed with its own good key.

Whoever verifies must find its keys as wxgate's, accept its good tokens and refuse all others. `run` starts it; it writes
its address into the file that it is given, and answers `/tokens`: `{issuer, audience, algorithm, tokens: [{name, good,
token}]}`.
"""

import base64
import hashlib
import hmac
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric import ec
from jwt import encode
from jwt.algorithms import ECAlgorithm

AUDIENCE = "wx0000000000000f0e"
KID = "the-good-key"
GOOD, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def public(key):
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def tokens(issuer):
    now = int(time.time())
    right = {
        "iss": issuer, "sub": "user", "aud": [AUDIENCE, issuer], "client_id": AUDIENCE, "sid": "session", "jti": "once",
        "iat": now, "exp": now + 900, "scope": "user", "tenant": "forge",
    }  # fmt: skip

    def token(key=GOOD, header=(), without=None, **claims):
        header = {"typ": "at+jwt", "kid": KID} | dict(header)
        claims = {name: value for name, value in (right | claims).items() if name != without}
        return encode(claims, key, algorithm="ES256", headers=header)

    def unsigned(algorithm, sign):
        text = f"{part({'typ': 'at+jwt', 'alg': algorithm, 'kid': KID})}.{part(right)}"
        return f"{text}.{sign(text.encode())}"

    def mac(text):
        return part(hmac.digest(json.dumps(public(GOOD)).encode(), text, hashlib.sha256))

    head, body, signature = token().split(".")
    changed = part(right | {"sub": "another user"})
    yield "a right one", True, token()
    yield "one with claims that nobody knows", True, token(colour="blue")
    yield "expired", False, token(iat=now - 1800, exp=now - 900)
    yield "for ever", False, token(without="exp")
    yield "of another issuer", False, token(iss="https://somebody.example/t/forge")
    yield "of an issuer with a slash more", False, token(iss=f"{issuer}/")
    yield "of no issuer", False, token(without="iss")
    yield "for another audience", False, token(aud="wx00000000000other")
    yield "for other audiences", False, token(aud=["wx00000000000other", issuer])
    yield "for no audience", False, token(without="aud")
    yield "of the type of an ID token", False, token(header={"typ": "JWT"})
    yield "of the type of a security event", False, token(header={"typ": "secevent+jwt"})
    yield "of the type of a logout token", False, token(header={"typ": "logout+jwt"})
    yield "of no type", False, token(header={"typ": None})
    yield "by another key under this one's name", False, token(OTHER)
    yield "by another key under another name", False, token(OTHER, header={"kid": "nobody-knows-me"})
    yield "by the key in its own header", False, token(OTHER, header={"kid": "own", "jwk": public(OTHER)})
    yield "unsigned", False, unsigned("none", lambda text: "")
    yield "sealed with the public key as a secret", False, unsigned("HS256", mac)
    yield "changed after it was signed", False, f"{head}.{changed}.{signature}"
    yield "without its signature", False, f"{head}.{body}."


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}/t/forge"
        key = public(GOOD) | {"kid": KID, "use": "sig", "alg": "ES256"}
        document = {
            "/t/forge/.well-known/openid-configuration": {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/jwks.json",
                "response_types_supported": ["none"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            },
            "/t/forge/jwks.json": {"keys": [key]},
            "/tokens": {
                "issuer": issuer,
                "audience": AUDIENCE,
                "algorithm": "ES256",
                "tokens": [{"name": name, "good": good, "token": token} for name, good, token in tokens(issuer)],
            },
        }.get(self.path)
        body = json.dumps(document).encode()
        self.send_response(200 if document else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    with open(sys.argv[1], "w") as file:
        file.write(f"http://127.0.0.1:{server.server_port}\n")
    server.serve_forever()
