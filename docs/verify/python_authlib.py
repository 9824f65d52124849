import time

import requests
from authlib.oauth2.rfc6750.errors import InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from authlib.oauth2.rfc9068.claims import JWTAccessTokenClaims
from joserfc import jwt  # pip install "Authlib>=1.9" requests
from joserfc.errors import JoseError
from joserfc.jwk import KeySet


class AccessTokens(JWTBearerTokenValidator):
    """Access tokens of one tenant for one audience. Make it once, at start: it keeps the keys.

    With Flask or Django: ResourceProtector().register_token_validator(AccessTokens(ISSUER, AUDIENCE)).
    """

    def __init__(self, issuer, audience, algorithm="ES256"):
        super().__init__(issuer=issuer, resource_server=audience)
        found = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).json()
        if found["issuer"] != issuer:
            raise ValueError(f"{issuer} calls itself {found['issuer']}")
        self.algorithm, self.jwks_uri = algorithm, found["jwks_uri"]
        self.keys, self.read_at = KeySet([]), float("-inf")
        self.options = {name: {"essential": True} for name in ("exp", "iat", "sub")}
        self.options |= {"iss": {"essential": True, "value": issuer}, "aud": {"essential": True, "value": audience}}

    def find_key(self, token):
        # The keys are read again after five minutes, and for an unknown name after half a minute.
        for age in (300, 30):
            if time.monotonic() - self.read_at > age:
                reply = requests.get(self.jwks_uri, timeout=5)
                reply.raise_for_status()
                self.keys, self.read_at = KeySet.import_key_set(reply.json()), time.monotonic()
            for key in self.keys:
                if key.kid == token.headers().get("kid"):
                    return key
        raise InvalidTokenError()

    def authenticate_token(self, token_string):
        # Authlib's own lets a token without a type pass, and takes whichever algorithm it knows.
        try:
            token = jwt.decode(token_string, self.find_key, algorithms=[self.algorithm])
        except (JoseError, ValueError) as error:
            raise InvalidTokenError() from error
        if token.header.get("typ") != "at+jwt":
            raise InvalidTokenError()
        return JWTAccessTokenClaims(token.claims, token.header, self.options)

    def verify(self, token):
        """Without a framework: the claims of what stood behind `Bearer `, or an InvalidTokenError: answer 401."""
        claims = self.authenticate_token(token)
        self.validate_token(claims, scopes=None, request=None)
        return claims
