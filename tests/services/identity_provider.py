"""An OpenID provider that lets one user in without asking: what DiracX sends browsers to in its login.

Run by the server's interpreter: identity_provider.py HOST PORT CLIENT SUBJECT.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
from typing import Annotated
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, HTTPException
from fastapi.responses import RedirectResponse
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

host, port, client, subject = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
issuer = f"http://{host}:{port}"
key = RSAKey.generate_key(2048, parameters={"kid": "only", "alg": "RS256", "use": "sig"})
asked: dict[str, tuple[str, str]] = {}
app = FastAPI()


@app.get("/.well-known/openid-configuration")
def configuration() -> dict[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
        "id_token_signing_alg_values_supported": ["RS256"],
    }


@app.get("/keys")
def keys() -> dict[str, object]:
    return dict(KeySet([key]).as_dict(private=False))


@app.get("/authorize")
def authorize(redirect_uri: str, state: str, code_challenge: str) -> RedirectResponse:
    code = secrets.token_urlsafe()
    asked[code] = (redirect_uri, code_challenge)
    return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}")


@app.post("/token")
def token(
    code: Annotated[str, Form()], code_verifier: Annotated[str, Form()], redirect_uri: Annotated[str, Form()]
) -> dict[str, str]:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).decode().rstrip("=")
    if asked.pop(code, None) != (redirect_uri, challenge):
        raise HTTPException(400)
    now = int(time.time())
    claims = {"iss": issuer, "aud": client, "sub": subject, "iat": now, "exp": now + 600}
    signed = jwt.encode({"alg": "RS256", "kid": "only"}, claims, key)
    return {"access_token": "none", "token_type": "Bearer", "id_token": signed}


uvicorn.run(app, host=host, port=port, log_level="warning")
