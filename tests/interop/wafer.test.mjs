// The client SDKs of both generations of wafer, as npm has them, on a phone of which everything is real but the screen:
// their mini-programs change the host and nothing else.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

assert(process.env.WXGATE_LISTEN, 'these tests are started by tests/interop/run')
const listen = JSON.parse(readFileSync(process.env.WXGATE_LISTEN, 'utf8'))
const adminKey = readFileSync(join(dirname(process.env.WXGATE_LISTEN), 'admin-key'), 'utf8').trim()
const require = createRequire(import.meta.url)

async function ask(url, method, body, header = {}) {
  const headers = { ...(body ? { 'content-type': 'application/json' } : {}), ...header }
  const reply = await fetch(url, { method, headers, body: body && JSON.stringify(body) })
  const text = await reply.text()
  return { statusCode: reply.status, data: text ? JSON.parse(text) : '' }
}

async function sim(path, body) {
  const { statusCode, data } = await ask(`http://${listen.simulator}/sim/${path}`, 'POST', body)
  assert.equal(statusCode, 200, path)
  return data
}

// A mini-program of this profile, served by the gateway.
async function serve(appid, profile) {
  const secret = '5ec2e7' + appid.slice(2).padStart(26, '0')
  await sim('apps', { appid, secret })
  const admin = { authorization: `Bearer ${adminKey}` }
  const added = await ask(`http://${listen.admin}/admin/v1/apps`, 'POST', { tenant: 'demo', appid, secret, policy: { profile } }, admin)
  assert.equal(added.statusCode, 201, JSON.stringify(added.data))
}

// `wx` as far as these SDKs use it. WeChat sets the Referer of every request.
function phone(appid) {
  const storage = new Map()
  const openid = `oWafer${appid}${process.pid}`
  const referer = `https://servicewechat.com/${appid}/3/page-frame.html`
  const requests = []
  const nothing = () => {}
  globalThis.wx = {
    onSocketOpen: nothing,
    onSocketMessage: nothing,
    onSocketError: nothing,
    onSocketClose: nothing,
    getStorageSync: (key) => storage.get(key) ?? '',
    setStorageSync: (key, value) => storage.set(key, structuredClone(value)),
    removeStorageSync: (key) => storage.delete(key),
    checkSession: ({ success }) => success(),
    login: ({ success, fail }) => sim('codes', { appid, openid }).then(success, fail),
    getUserInfo: ({ success, fail }) =>
      sim('encrypt', { appid, openid, kind: 'user_info' })
        .then((sealed) => success({ ...sealed, userInfo: JSON.parse(sealed.rawData) })).catch(fail),
    request: ({ url, method, header, data, success, fail }) => {
      requests.push(new URL(url).pathname)
      ask(url, method ?? 'GET', method === 'POST' ? data : undefined, { ...header, referer }).then(success, fail)
    },
  }
  return { openid, requests, storage }
}

const promised = (call, options) => new Promise((success, fail) => call({ ...options, success, fail }))
const [base, later] = [`http://${listen.public}`, (ms) => new Promise((done) => setTimeout(done, ms))]

// A gateway knows an app that was added a moment later.
async function known(appid, path) {
  for (let tries = 0; tries < 200; tries++) {
    const { statusCode } = await ask(`${base}/apps/${appid}${path}`, 'GET')
    if (statusCode !== 404) return
    await later(20)
  }
  assert.fail(`${appid} is not served`)
}

// What a backend would do to a session that it wants to be over.
const end = (token) => ask(`${base}/v1/logout`, 'POST', { scope: 'this' }, { authorization: `Bearer ${token}` })

test('wafer2-client-sdk logs in, asks, and logs in again when its session ended', async () => {
  const appid = 'wx0afe200000000002'
  await serve(appid, 'wafer2')
  await known(appid, '/weapp/login')
  const { openid, requests } = phone(appid)
  const qcloud = require('wafer2-client-sdk')
  qcloud.setLoginUrl(`${base}/weapp/login`)

  const userInfo = await promised(qcloud.login, {})
  assert.equal(userInfo.openId, openid)
  const { skey } = qcloud.Session.get()
  const user = () => promised(qcloud.request, { url: `${base}/weapp/user`, login: false })
  assert.equal((await user()).data.data.openId, openid)
  assert.equal(qcloud.Session.get().skey, skey)

  assert.equal((await end(skey)).statusCode, 200)
  requests.length = 0
  assert.equal((await user()).data.data.openId, openid)
  assert.deepEqual(requests, ['/weapp/user', '/weapp/login', '/weapp/user'])
  assert.notEqual(qcloud.Session.get().skey, skey)
})

test('wafer-client-sdk logs in, asks, and logs in again when its session ended', async () => {
  const appid = 'wx0afe100000000001'
  await serve(appid, 'wafer-session')
  await known(appid, '/login')
  const { openid, requests, storage } = phone(appid)
  const qcloud = require('wafer-client-sdk')
  qcloud.setLoginUrl(`${base}/login`)

  assert((await promised(qcloud.login, {})).nickName)
  const session = () => [...storage.values()][0]
  const { id, skey } = session()
  const user = () => promised(qcloud.request, { url: `${base}/user`, login: false })
  assert.equal((await user()).data.data.userInfo.openId, openid)

  assert.equal((await end(skey)).statusCode, 200)
  requests.length = 0
  assert.equal((await user()).data.data.userInfo.openId, openid)
  assert.deepEqual(requests, ['/user', '/login', '/user'])
  assert.notEqual(session().id, id)
})
