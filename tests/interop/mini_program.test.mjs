// The client that docs/mini-program.md tells people to copy, on a phone of which everything is real but the screen.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import vm from 'node:vm'

assert(process.env.WXGATE_LISTEN, 'these tests are started by tests/interop/run')
const listen = JSON.parse(readFileSync(process.env.WXGATE_LISTEN, 'utf8'))
const page = readFileSync(new URL('../../docs/mini-program.md', import.meta.url), 'utf8')
const [, source] = page.match(/Copy it as `wxgate\.js`[^]*?```js\n([^]*?)```/)

const appId = 'wx000000000000de01'
const json = { 'content-type': 'application/json' }
let phones = 0

// A phone with one mini-program: `wx` as far as the client uses it. `lose` makes the answer to the next request get lost.
function phone() {
  const storage = new Map()
  const openid = `oPhone${process.pid}n${phones++}`
  const state = { lose: 0, requests: [] }
  const wx = {
    getAccountInfoSync: () => ({ miniProgram: { appId } }),
    getRandomValues: ({ length, success }) => success({ randomValues: randomBytes(length) }),
    arrayBufferToBase64: (bytes) => Buffer.from(bytes).toString('base64'),
    setStorageSync: (key, value) => storage.set(key, structuredClone(value)),
    getStorageSync: (key) => storage.get(key) ?? '',
    login: ({ success, fail }) =>
      fetch(`http://${listen.simulator}/sim/codes`, { method: 'POST', headers: json, body: JSON.stringify({ appid: appId, openid }) })
        .then((reply) => reply.json()).then(success, fail),
    request: async ({ url, method, header, data, success, fail }) => {
      state.requests.push(new URL(url).pathname)
      try {
        const reply = await fetch(url, { method, headers: { ...json, ...header }, body: JSON.stringify(data) })
        const answer = { statusCode: reply.status, data: await reply.json() }
        if (state.lose > 0) {
          state.lose--
          throw new Error('request:fail timeout')
        }
        success(answer)
      } catch (error) {
        fail({ errMsg: error.message })
      }
    },
  }
  const module = { exports: {} }
  const text = source.replace('https://login.example.com', `http://${listen.public}`)
  vm.runInNewContext(text, { wx, module, setTimeout, Date, Promise, console })
  const stored = (change = {}) => {
    storage.set('wxgate', { ...storage.get('wxgate'), ...change })
    return storage.get('wxgate')
  }
  return { ...module.exports, state, stored, expire: () => stored({ until: 0 }) }
}

test('a token is fetched once, and used until it ends', async () => {
  const { token, state } = phone()
  const tokens = await Promise.all([token(), token(), token()])
  assert.equal(new Set([...tokens, await token()]).size, 1)
  assert.deepEqual(state.requests, [`/v1/apps/${appId}/login`])
})

test('a token that ended is refreshed, in the same session', async () => {
  const { token, state, stored, expire } = phone()
  const first = await token()
  const session = stored().session_id
  expire()
  const [second, again] = await Promise.all([token(), token()])
  assert.notEqual(second, first)
  assert.equal(again, second)
  assert.equal(stored().session_id, session)
  assert.deepEqual(state.requests, [`/v1/apps/${appId}/login`, '/v1/token/refresh'])
})

test('answers that get lost, of a login and of a refresh, lose nothing', async () => {
  const { token, state, stored, expire } = phone()
  state.lose = 1
  await token()
  const session = stored().session_id
  expire()
  state.lose = 1
  await token()
  assert.equal(stored().session_id, session)
  expire()
  await token()
  assert.equal(stored().session_id, session)
})

test('a refresh token that is of no more use ends in a silent login', async () => {
  const { token, stored, expire } = phone()
  await token()
  const session = stored().session_id
  const old = stored().refresh_token
  expire()
  await token()
  expire()
  await token()
  stored({ refresh_token: old, until: 0 })
  await token()
  assert.notEqual(stored().session_id, session)
})
