import express from 'express' // npm install express express-oauth2-jwt-bearer
import { auth, requiredScopes } from 'express-oauth2-jwt-bearer'

// A service that takes access tokens of one tenant for one audience.
export function service(issuer, audience, algorithm = 'ES256') {
  const app = express()
  // `strict` asks for the type at+jwt and for the claims of RFC 9068. It answers 401 by itself, with WWW-Authenticate.
  app.use(auth({
    issuerBaseURL: issuer, audience, tokenSigningAlg: algorithm, strict: true, clockTolerance: 30, cacheMaxAge: 300_000,
  }))
  app.get('/me', requiredScopes('user'), (request, response) => response.json(request.auth.payload))
  return app
}
