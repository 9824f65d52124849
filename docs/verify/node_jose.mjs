import { createRemoteJWKSet, jwtVerify } from 'jose' // npm install jose

// Access tokens of one tenant for one audience. Make it once, at start: it keeps the keys.
export async function accessTokens(issuer, audience, algorithm = 'ES256') {
  const found = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
  if (found.issuer !== issuer) throw new Error(`${issuer} calls itself ${found.issuer}`)
  const keys = createRemoteJWKSet(new URL(found.jwks_uri), { cacheMaxAge: 300_000 })
  const expected = {
    issuer, audience, typ: 'at+jwt', algorithms: [algorithm], clockTolerance: 30, requiredClaims: ['exp', 'iat', 'sub'],
  }
  // The claims of what stood behind `Bearer `, or a JOSEError: answer 401.
  return async (token) => (await jwtVerify(token, keys, expected)).payload
}
