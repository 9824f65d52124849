// npm oidc-provider, the usual authorization server of Node, with its own adapter that keeps everything in memory.
//
// Refresh tokens are not rotated, and access tokens that they give are JWTs (ES256). Introspection is asked about opaque ones,
// the only kind that it answers for. TOKENS names the file into which it writes what to ask with.
// Run with: TOKENS=tokens.json node provider.mjs

import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const [CLIENT, SECRET, API, TOKENS] = ['load', 'a-secret-of-the-load-harness', 'urn:load:api', 200]
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

const provider = new Provider('http://127.0.0.1', {
  clients: [{
    client_id: CLIENT,
    client_secret: SECRET,
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['https://client.example/'],
    id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['a key for cookies that nobody gets'] },
  scopes: ['openid', 'offline_access', 'api'],
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  rotateRefreshToken: false,
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API,
      useGrantedResource: () => true,
      getResourceServerInfo: () => (
        { scope: 'api', audience: API, accessTokenFormat: 'jwt', accessTokenTTL: 900, jwt: { sign: { alg: 'ES256' } } }
      ),
    },
  },
})

const client = await provider.Client.find(CLIENT)
const tokens = { authorization: `Basic ${Buffer.from(`${CLIENT}:${SECRET}`).toString('base64')}`, refresh: [], access: [] }
for (let number = 0; number < TOKENS; number++) {
  const accountId = `user-${number}`
  const grant = new provider.Grant({ accountId, clientId: CLIENT })
  grant.addOIDCScope('offline_access')
  grant.addResourceScope(API, 'api')
  const granted = { accountId, client, grantId: await grant.save(), gty: 'authorization_code' }
  const refresh = new provider.RefreshToken({ ...granted, scope: 'offline_access api', resource: API })
  tokens.refresh.push(await refresh.save())
  tokens.access.push(await new provider.AccessToken({ ...granted, scope: 'offline_access' }).save())
}
writeFileSync(process.env.TOKENS, JSON.stringify(tokens))

const server = createServer(provider.callback())
server.listen(0, '127.0.0.1', () => console.log(`provider listening on http://127.0.0.1:${server.address().port}`))
