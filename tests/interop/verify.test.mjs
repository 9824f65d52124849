// The JavaScript files of docs/verify accept our access tokens by discovery alone, and refuse what they should.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errors } from 'jose'
import { accessTokens } from './verify/node_jose.mjs'
import { service } from './verify/node_express.mjs'

assert(process.env.WXGATE_LISTEN, 'these tests are started by tests/interop/run')
const listen = JSON.parse(readFileSync(process.env.WXGATE_LISTEN, 'utf8'))
const tenants = JSON.parse(readFileSync(new URL('tenants.json', import.meta.url), 'utf8'))
const securityEvent = readFileSync(process.env.WXGATE_SECURITY_EVENT, 'utf8').trim()
const issuer = (tenant) => `http://${listen.public}/t/${tenant}`

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

// Each file as a function: with what a service is made, and then the claims of a token, or undefined if it is refused.
const samples = {
  jose: async (t, ...expected) => {
    const verify = await accessTokens(...expected)
    return async (token) => {
      try {
        return await verify(token)
      } catch (error) {
        assert(error instanceof errors.JOSEError, error)
      }
    }
  },
  express: async (t, ...expected) => {
    const server = service(...expected).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    return async (token) => {
      const headers = { authorization: `Bearer ${token}`, connection: 'close' }
      const reply = await fetch(`http://127.0.0.1:${server.address().port}/me`, { headers })
      if (reply.ok) return reply.json()
      assert(reply.status === 401 || reply.status === 400, String(reply.status))
      assert.match(reply.headers.get('www-authenticate'), /^Bearer/)
    }
  },
}

for (const [library, sample] of Object.entries(samples)) {
  for (const { tenant, algorithm, appid } of tenants) {
    test(`${library}, ${algorithm}: a token verifies through discovery`, async (t) => {
      const [claims, reply] = [await sample(t, issuer(tenant), appid, algorithm), await login(appid)]
      const payload = await claims(reply.access_token)
      assert.equal(payload.sub, reply.user.id)
      assert.equal(payload.sid, reply.session_id)
      assert.equal(payload.client_id, appid)
      assert.equal(payload.exp - payload.iat, reply.expires_in)
    })

    test(`${library}, ${algorithm}: what is wrong is refused`, async (t) => {
      const { access_token: token, refresh_token: refresh } = await login(appid)
      const claims = await sample(t, issuer(tenant), appid, algorithm)
      const [header, payload] = token.split('.')
      for (const wrong of [refresh, securityEvent, `${header}.${payload}.`, `${header}.${payload}`, 'a.b.c', 'x']) {
        assert.equal(await claims(wrong), undefined, wrong)
      }
      for (const other of tenants.filter((row) => row.tenant !== tenant)) {
        assert.equal(await claims((await login(other.appid)).access_token), undefined, other.tenant)
        const otherAlgorithm = await sample(t, issuer(tenant), appid, other.algorithm)
        assert.equal(await otherAlgorithm(token), undefined, other.algorithm)
      }
      const otherAudience = await sample(t, issuer(tenant), 'wx00000000000other', algorithm)
      assert.equal(await otherAudience(token), undefined)
    })
  }

  test(`${library}: what is forged is refused`, async (t) => {
    const forge = await (await fetch(`${process.env.WXGATE_FORGE}/tokens`)).json()
    const claims = await sample(t, forge.issuer, forge.audience, forge.algorithm)
    for (const { name, good, token } of forge.tokens) {
      assert.equal((await claims(token))?.sub, good ? 'user' : undefined, name)
    }
  })
}
