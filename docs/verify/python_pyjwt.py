import json
from urllib.request import urlopen

import jwt  # pip install "pyjwt[crypto]"


class AccessTokens:
    """Access tokens of one tenant for one audience. Make it once, at start: it keeps the keys."""

    def __init__(self, issuer, audience, algorithm="ES256"):
        with urlopen(f"{issuer}/.well-known/openid-configuration", timeout=5) as reply:
            found = json.load(reply)
        if found["issuer"] != issuer:
            raise ValueError(f"{issuer} calls itself {found['issuer']}")
        self.keys = jwt.PyJWKClient(found["jwks_uri"], lifespan=300)
        self.expected = {"issuer": issuer, "audience": audience, "algorithms": [algorithm], "leeway": 30}

    def verify(self, token):
        """The claims of what stood behind `Bearer `, or a jwt.PyJWTError: answer 401."""
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":
            raise jwt.InvalidTokenError("not an access token")
        key = self.keys.get_signing_key_from_jwt(token)
        return jwt.decode(token, key, **self.expected, options={"require": ["exp", "iat", "iss", "aud", "sub"]})
