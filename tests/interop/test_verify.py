"""The Python files of docs/verify accept our access tokens by discovery alone, and refuse what they should."""

import time

import jwt
import python_authlib
import python_pyjwt
import pytest
from authlib.oauth2.rfc6750.errors import InvalidTokenError

from conftest import TENANTS, forged

REFUSALS = {python_pyjwt: jwt.PyJWTError, python_authlib: InvalidTokenError}


@pytest.fixture(scope="module", params=REFUSALS, ids=lambda sample: sample.__name__)
def sample(request):
    return request.param


@pytest.fixture(scope="module")
def refused(sample):
    """Fails unless a token is refused, in the way that the file promises."""

    def check(tokens, token, what=""):
        with pytest.raises(REFUSALS[sample]):
            pytest.fail(f"{what} was accepted: {tokens.verify(token)}")

    return check


@pytest.fixture(scope="module", params=TENANTS, ids=lambda row: row["algorithm"])
def row(request):
    return request.param


@pytest.fixture(scope="module")
def login(listen, row):
    return listen.login(row["appid"])


@pytest.fixture(scope="module")
def tokens(listen, sample, row):
    return sample.AccessTokens(listen.issuer(row["tenant"]), row["appid"], row["algorithm"])


def test_a_token_verifies_through_discovery(tokens, login, row):
    token = login["access_token"]
    header = jwt.get_unverified_header(token)
    assert header["alg"] == row["algorithm"] and header["typ"] == "at+jwt"
    claims = tokens.verify(token)
    assert claims["sub"] == login["user"]["id"]
    assert claims["sid"] == login["session_id"]
    assert claims["client_id"] == row["appid"]
    assert claims["tenant"] == row["tenant"]
    assert claims["exp"] - claims["iat"] == login["expires_in"]
    assert abs(claims["iat"] - time.time()) < 60


def test_the_gateway_itself_is_an_audience(listen, sample, login, row):
    issuer = listen.issuer(row["tenant"])
    assert sample.AccessTokens(issuer, issuer, row["algorithm"]).verify(login["access_token"])


def test_another_audience_is_refused(listen, sample, refused, login, row):
    other = sample.AccessTokens(listen.issuer(row["tenant"]), "wx00000000000other", row["algorithm"])
    refused(other, login["access_token"])


def test_another_tenants_token_is_refused(listen, tokens, refused, row):
    for other in TENANTS:
        if other is not row:
            refused(tokens, listen.login(other["appid"])["access_token"])


def test_another_algorithm_is_refused(listen, sample, refused, login, row):
    for other in TENANTS:
        if other is not row:
            wrong = sample.AccessTokens(listen.issuer(row["tenant"]), row["appid"], other["algorithm"])
            refused(wrong, login["access_token"])


def test_what_is_no_access_token_is_refused(listen, tokens, refused, login):
    refused(tokens, login["refresh_token"], "a refresh token")
    refused(tokens, listen.security_event, "a page of the revocation feed")
    for nothing in ("", ".", "..", "a.b.c", "Bearer", login["access_token"].rpartition(".")[0]):
        refused(tokens, nothing, nothing)


def test_a_page_of_the_revocation_feed_is_refused_for_its_type(listen, sample, refused):
    # Its own tenant, key, issuer and audience: nothing is wrong with it but what it is.
    claims = jwt.decode(listen.security_event, options={"verify_signature": False})
    header = jwt.get_unverified_header(listen.security_event)
    assert header["typ"] == "secevent+jwt"
    refused(sample.AccessTokens(claims["iss"], claims["aud"], header["alg"]), listen.security_event)


def test_what_is_forged_is_refused(sample, refused):
    forge = forged()
    tokens = sample.AccessTokens(forge["issuer"], forge["audience"], forge["algorithm"])
    for case in forge["tokens"]:
        if case["good"]:
            assert tokens.verify(case["token"])["sub"] == "user", case["name"]
        else:
            refused(tokens, case["token"], case["name"])


def test_an_issuer_with_another_name_is_no_issuer(listen, sample):
    # The document says `localhost` nowhere: whoever answers is not who was asked for.
    elsewhere = listen.issuer("demo").replace("127.0.0.1", "localhost")
    with pytest.raises(ValueError):
        sample.AccessTokens(elsewhere, "wx000000000000de01")
