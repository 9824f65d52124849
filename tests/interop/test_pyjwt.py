"""PyJWT accepts our access tokens by discovery alone, and refuses what it should."""

import base64
import time

import jwt
import pytest
import requests

from conftest import TENANTS

REQUIRED = ["iss", "sub", "aud", "iat", "exp", "jti", "client_id", "sid"]


class Backend:
    """A downstream service: knows one issuer, finds the rest."""

    def __init__(self, issuer):
        document = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
        assert document["issuer"] == issuer
        self.issuer = issuer
        self.algorithms = document["id_token_signing_alg_values_supported"]
        self.keys = jwt.PyJWKClient(document["jwks_uri"])

    def verify(self, token, audience, **changed):
        key = self.keys.get_signing_key_from_jwt(token)
        expected = {"issuer": self.issuer, "options": {"require": REQUIRED}} | changed
        verified = jwt.decode_complete(token, key, algorithms=self.algorithms, audience=audience, **expected)
        if verified["header"]["typ"] != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        return verified["payload"]


@pytest.fixture(scope="module", params=TENANTS, ids=lambda row: row["algorithm"])
def row(request):
    return request.param


@pytest.fixture(scope="module")
def backend(listen, row):
    return Backend(listen.issuer(row["tenant"]))


@pytest.fixture(scope="module")
def login(listen, row):
    return listen.login(row["appid"])


def test_a_token_verifies_through_discovery(backend, login, row):
    token = login["access_token"]
    header = jwt.get_unverified_header(token)
    assert header["alg"] == row["algorithm"] and header["typ"] == "at+jwt"
    claims = backend.verify(token, row["appid"])
    assert claims["sub"] == login["user"]["id"]
    assert claims["sid"] == login["session_id"]
    assert claims["client_id"] == row["appid"]
    assert claims["tenant"] == row["tenant"]
    assert claims["exp"] - claims["iat"] == login["expires_in"]
    assert abs(claims["iat"] - time.time()) < 60


def test_the_gateway_itself_is_an_audience(backend, login):
    assert backend.verify(login["access_token"], backend.issuer)["sub"] == login["user"]["id"]


def test_another_audience_is_refused(backend, login):
    with pytest.raises(jwt.InvalidAudienceError):
        backend.verify(login["access_token"], "wx00000000000other")


def test_another_issuer_is_refused(backend, login, row):
    with pytest.raises(jwt.InvalidIssuerError):
        backend.verify(login["access_token"], row["appid"], issuer="https://somebody.example/t/demo")


def test_an_expired_token_is_refused(backend, login, row):
    # PyJWT reads the clock by itself; a negative leeway is the only way to let it believe that time has passed.
    options = {"require": REQUIRED, "verify_iat": False}
    passed = -(login["expires_in"] + 1)
    with pytest.raises(jwt.ExpiredSignatureError):
        backend.verify(login["access_token"], row["appid"], leeway=passed, options=options)


def test_a_flipped_bit_is_refused(backend, login, row):
    header, payload, signature = login["access_token"].split(".")
    for part in (payload, signature):
        raw = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        raw[len(raw) // 2] ^= 1
        flipped = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        token = ".".join([header, flipped, signature] if part is payload else [header, payload, flipped])
        with pytest.raises(jwt.InvalidSignatureError):
            backend.verify(token, row["appid"])


def test_an_algorithm_that_the_documents_do_not_name_is_refused(backend, login, row):
    others = [other["algorithm"] for other in TENANTS if other is not row]
    key = backend.keys.get_signing_key_from_jwt(login["access_token"])
    with pytest.raises(jwt.InvalidAlgorithmError):
        jwt.decode(login["access_token"], key, algorithms=others, audience=row["appid"])


def test_a_refresh_token_is_no_access_token(backend, login, row):
    with pytest.raises(jwt.DecodeError):
        backend.verify(login["refresh_token"], row["appid"])


def test_another_tenants_token_finds_no_key(listen, backend, row):
    other = next(other for other in TENANTS if other["tenant"] != row["tenant"])
    token = listen.login(other["appid"])["access_token"]
    with pytest.raises(jwt.PyJWKClientError):
        backend.verify(token, other["appid"])
