"""The OpenID provider oidc-provider-mock, with access tokens as those of grids are (WLCG's profile).

Run by the interpreter that has it: openid_app.py PORT. Beside logging in, ``/mint?sub=alice&begins=-60&lasts=600``
gives a token that begins so many seconds from now, and lasts so many.
"""

from __future__ import annotations

import sys
import time
import uuid

import flask
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import init_app
from oidc_provider_mock._storage import storage
from werkzeug.serving import run_simple

port = int(sys.argv[1])
app = flask.Flask("oidc_provider_mock")  # whose pages it finds by this name


def token(sub: str, begins: int = 0, lasts: int = 3600) -> str:
    """A signed access token."""
    now = int(time.time()) + begins
    claims = {"iss": f"http://localhost:{port}", "sub": sub, "aud": "rucio", "scope": "openid profile"}
    times = {"iat": now, "nbf": now, "exp": now + lasts, "jti": uuid.uuid4().hex}
    key = RSAKey.import_key(storage.jwk.as_dict(is_private=True))
    return jwt.encode({"alg": "RS256", "kid": key.kid}, {**claims, **times}, key)


@app.get("/mint")
def mint() -> str:
    asked = flask.request.args
    return token(asked["sub"], int(asked.get("begins", 0)), int(asked.get("lasts", 3600)))


app.config["OAUTH2_ACCESS_TOKEN_GENERATOR"] = lambda client, grant_type, user, scope: token(user.sub)
app.secret_key = uuid.uuid4().hex
init_app(app)
app.debug = False
run_simple("localhost", port, app, threaded=True)
