// node-easywechat talks to the simulator as it would to WeChat: only the address is another.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
// Its index also loads what official accounts need, from a package that has moved since.
import MiniApp from 'node-easywechat/dist/MiniApp/Application.js'

assert(process.env.WXGATE_LISTEN, 'these tests are started by tests/interop/run')
const listen = JSON.parse(readFileSync(process.env.WXGATE_LISTEN, 'utf8'))
const appid = 'wx0ea5e00000000001'
const secret = randomBytes(16).toString('hex')

async function sim(path, body) {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(`http://${listen.simulator}/sim/${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.equal(reply.status, 200, path)
  return reply.json()
}

await sim('apps', { appid, secret, union_group: 'interop' })

// A backend of its own, which keeps its tokens in a folder.
function backend(t, more = {}) {
  const path = mkdtempSync(join(tmpdir(), 'wxgate-easywechat-'))
  t.after(() => rmSync(path, { recursive: true }))
  const http = { baseURL: `http://${listen.simulator}/`, throw: false }
  return new MiniApp({ app_id: appid, secret, http, file_cache: { path }, use_stable_access_token: true, ...more })
}

test('a code gives a session, once', async (t) => {
  const utils = backend(t).getUtils()
  const { code, openid, unionid } = await sim('codes', { appid })
  const session = await utils.codeToSession(code)
  assert.deepEqual([session.openid, session.unionid], [openid, unionid])
  await assert.rejects(utils.codeToSession(code), /40163/)
  await assert.rejects(utils.codeToSession('nobody-gave-me-this'), /40029/)
  await assert.rejects(backend(t, { secret: '0'.repeat(32) }).getUtils().codeToSession(code), /40125/)
})

test('it opens what the simulator sealed', async (t) => {
  const utils = backend(t).getUtils()
  const { code, openid } = await sim('codes', { appid })
  const { session_key } = await utils.codeToSession(code)
  for (const [kind, field] of [['user_info', 'nickName'], ['phone', 'phoneNumber'], ['werun', 'stepInfoList']]) {
    const sealed = await sim('encrypt', { appid, openid, kind })
    const opened = utils.decryptSession(session_key, sealed.iv, sealed.encryptedData)
    assert(opened[field], kind)
    assert.equal(opened.watermark.appid, appid)
  }
  await sim('codes', { appid, openid })
  const later = await sim('encrypt', { appid, openid, kind: 'user_info' })
  assert.throws(() => utils.decryptSession(session_key, later.iv, later.encryptedData), /Fail to decrypt/)
})

test('stable tokens are one for all, and legacy tokens supersede each other', async (t) => {
  const [one, two] = [backend(t).getAccessToken(), backend(t).getAccessToken()]
  assert.equal(await one.getToken(), await two.getToken())
  const legacy = () => backend(t, { use_stable_access_token: false }).getAccessToken()
  assert.notEqual(await legacy().getToken(), await legacy().getToken())
  await assert.rejects(backend(t, { secret: '0'.repeat(32) }).getAccessToken().getToken(), /40125/)
})

test('a phone number comes for its code', async (t) => {
  const client = backend(t).getClient()
  const { code, phone } = await sim('phone-codes', { appid })
  const ask = async (code) => (await client.postJson('wxa/business/getuserphonenumber', { code })).toObject()
  const answer = await ask(code)
  assert.deepEqual([answer.errcode, answer.phone_info.purePhoneNumber, answer.phone_info.watermark.appid], [0, phone, appid])
  assert.equal((await ask('nobody-gave-me-this')).errcode, 40029)
})

test('a token that ended is refused, and a new one is not', async (t) => {
  const app = backend(t)
  const ask = async () => (await app.getClient().postJson('wxa/business/getuserphonenumber', { code: 'x' })).toObject().errcode
  assert.equal(await ask(), 40029)
  await sim('tokens/end', { appid })
  assert.equal(await ask(), 40001)
  await app.getAccessToken().refresh()
  assert.equal(await ask(), 40029)
})
