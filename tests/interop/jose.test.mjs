// jose accepts our access tokens by discovery alone, and refuses what it should.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as jose from 'jose'

assert(process.env.WXGATE_LISTEN, 'these tests are started by tests/interop/run')
const listen = JSON.parse(readFileSync(process.env.WXGATE_LISTEN, 'utf8'))
const tenants = JSON.parse(readFileSync(new URL('tenants.json', import.meta.url), 'utf8'))

async function post(url, body) {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.equal(reply.status, 200, url)
  return reply.json()
}

async function login(appid) {
  const { code } = await post(`http://${listen.simulator}/sim/codes`, { appid })
  return post(`http://${listen.public}/v1/apps/${appid}/login`, { code })
}

// What a downstream service does: one issuer is configured, the rest is found.
async function backend(tenant) {
  const issuer = `http://${listen.public}/t/${tenant}`
  const document = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
  assert.equal(document.issuer, issuer)
  const keys = jose.createRemoteJWKSet(new URL(document.jwks_uri))
  return (token, audience, changed = {}) => jose.jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', ...changed })
}

const flip = (text) => {
  const bytes = jose.base64url.decode(text)
  bytes[bytes.length >> 1] ^= 1
  return jose.base64url.encode(bytes)
}

for (const { tenant, algorithm, appid } of tenants) {
  test(`${algorithm}: a token verifies through discovery`, async () => {
    const [verify, reply] = [await backend(tenant), await login(appid)]
    const { payload, protectedHeader } = await verify(reply.access_token, appid, { algorithms: [algorithm] })
    assert.equal(protectedHeader.alg, algorithm)
    assert.equal(payload.sub, reply.user.id)
    assert.equal(payload.sid, reply.session_id)
    assert.equal(payload.client_id, appid)
    assert.equal(payload.exp - payload.iat, reply.expires_in)
  })

  test(`${algorithm}: what is wrong is refused, and named`, async () => {
    const [verify, reply] = [await backend(tenant), await login(appid)]
    const token = reply.access_token
    const claim = (name) => ({ code: 'ERR_JWT_CLAIM_VALIDATION_FAILED', claim: name })
    await assert.rejects(verify(token, 'wx00000000000other'), claim('aud'))
    await assert.rejects(verify(token, appid, { issuer: 'https://somebody.example/t/demo' }), claim('iss'))
    await assert.rejects(verify(token, appid, { typ: 'JWT' }), claim('typ'))

    const { exp } = jose.decodeJwt(token)
    await verify(token, appid, { currentDate: new Date((exp - 1) * 1000) })
    await assert.rejects(verify(token, appid, { currentDate: new Date(exp * 1000) }), { code: 'ERR_JWT_EXPIRED' })

    const [header, payload, signature] = token.split('.')
    const broken = { code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' }
    await assert.rejects(verify([header, payload, flip(signature)].join('.'), appid), broken)
    await assert.rejects(verify([header, flip(payload), signature].join('.'), appid), broken)
    await assert.rejects(verify(reply.refresh_token, appid), { code: 'ERR_JWS_INVALID' })
  })
}

test('a token of one tenant finds no key of another', async () => {
  const [first, second] = tenants
  const verify = await backend(first.tenant)
  const { access_token: token } = await login(second.appid)
  await assert.rejects(verify(token, second.appid), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
})
