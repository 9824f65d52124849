// A login service as a careful team writes it in Node: it exchanges the code, keeps the user, and answers with a JWT.
//
// Well tuned and not durable: one connection pool, schemas for what comes in and goes out, prepared statements, a key that
// was made once. SQLite syncs no commit (WAL, synchronous=NORMAL), so a power cut loses logins that were answered.
// Run with: WECHAT_URL=http://127.0.0.1:8082 APP_SECRET=... DATABASE=login.db node login.mjs

import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import Database from 'better-sqlite3'
import fastify from 'fastify'
import { Pool } from 'undici'

const { WECHAT_URL, APP_SECRET, DATABASE } = process.env
const wechat = new Pool(WECHAT_URL, { connections: 128, headersTimeout: 2_000, bodyTimeout: 2_000 })
const key = createSecretKey(randomBytes(32))
const header = Buffer.from('{"alg":"HS256","typ":"at+jwt"}').toString('base64url')

const database = new Database(DATABASE)
database.pragma('journal_mode = WAL')
database.pragma('synchronous = NORMAL')
database.exec(`CREATE TABLE user (
  id INTEGER PRIMARY KEY, appid TEXT NOT NULL, openid TEXT NOT NULL, session_key TEXT NOT NULL, seen_at INTEGER NOT NULL,
  UNIQUE (appid, openid))`)
const upsert = database.prepare(`INSERT INTO user (appid, openid, session_key, seen_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (appid, openid) DO UPDATE SET session_key = excluded.session_key, seen_at = excluded.seen_at RETURNING id`)

async function exchange(appid, code) {
  const query = `appid=${appid}&secret=${APP_SECRET}&js_code=${encodeURIComponent(code)}&grant_type=authorization_code`
  const { body } = await wechat.request({ method: 'GET', path: `/sns/jscode2session?${query}` })
  return body.json()
}

function sign(claims) {
  const text = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

const text = { type: 'string' }
const schema = {
  params: { type: 'object', properties: { appid: { type: 'string', pattern: '^wx[0-9a-z]{16}$' } } },
  body: { type: 'object', required: ['code'], properties: { code: { type: 'string', minLength: 1, maxLength: 128 } } },
  response: { 200: { type: 'object', properties: { access_token: text, expires_in: { type: 'integer' }, openid: text } } },
}

const server = fastify()
server.post('/v1/apps/:appid/login', { schema }, async (request, reply) => {
  const { appid } = request.params
  const identity = await exchange(appid, request.body.code)
  if (!identity.openid) return reply.code(400).send()
  const now = Math.floor(Date.now() / 1_000)
  const { id } = upsert.get(appid, identity.openid, identity.session_key, now)
  const access_token = sign({ iss: 'login', sub: String(id), aud: appid, iat: now, exp: now + 900 })
  return { access_token, expires_in: 900, openid: identity.openid }
})
console.log(`login listening on ${await server.listen({ host: '127.0.0.1', port: 0 })}`)
