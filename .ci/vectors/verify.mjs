// Verifies Freehold's test vectors without Freehold's code. Needs Node 20 or newer, no packages.
//   node .ci/vectors/verify.mjs
import fs from 'node:fs'
import assert from 'node:assert/strict'
import { blake3, deriveKey } from './blake3.mjs'
import { decode, encode, get, Refused } from './cbor.mjs'
import { hkdf, hpkeOpen, publicOf, sha256, verify, xchachaOpen } from './ciphers.mjs'

const folder = new URL('../../node/proto/tests/vectors/', import.meta.url)
const load = (name, from = folder) => JSON.parse(fs.readFileSync(new URL(`${name}.json`, from)))
const hex = text => Buffer.from(text, 'hex')
const text = value => Buffer.from(value)
const same = (found, expected, what) => assert.equal(Buffer.from(found).toString('hex'), expected, what)
let checks = 0
const check = (what, run) => {
  try {
    run()
    checks++
  } catch (error) {
    console.error(`FAILED: ${what}: ${error.message}`)
    process.exitCode = 1
  }
}

const u = number => ({ uint: String(number) })
const b = bytes => ({ bytes: bytes })
const key = bytes => ({ array: [u(1), b(bytes)] })

check('BLAKE3, by its published vectors', () => {
  const input = length => Buffer.from(Array.from({ length }, (_, at) => at % 251))
  same(blake3(Buffer.alloc(0)), 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262')
  same(blake3(input(1)), '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213')
  same(blake3(input(1025)), 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444')
  same(blake3(input(8193)), 'bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b')
  const context = 'BLAKE3 2019-12-27 16:29:52 test vectors context'
  same(deriveKey(context, input(0)), '2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d')
})

for (const { what, hex: bytes, tree, refused } of load('cbor')) {
  check(`cbor: ${what}`, () => {
    if (refused) assert.throws(() => decode(hex(bytes)), Refused)
    else assert.deepEqual(decode(hex(bytes)), tree), same(encode(tree), bytes)
  })
}

for (const words of load('words')) {
  check(`mnemonic: ${words.phrase.slice(0, 20)}…`, () => {
    const bits = words.indices.map(index => index.toString(2).padStart(11, '0')).join('')
    const whole = Buffer.from(bits.match(/.{8}/g).map(byte => parseInt(byte, 2)))
    same(whole.subarray(0, 32), words.entropy)
    assert.equal(whole[32], sha256(whole.subarray(0, 32))[0], 'the mnemonic’s checksum')
    assert.equal(words.phrase.split(' ').length, 24)
    const derived = label => hkdf(hex(words.entropy), text('freehold/words/1'), text(label))
    same(derived('root signing key'), words.root_secret)
    same(derived('recovery kem key'), words.recovery_secret)
    same(derived('backup key'), words.backup_secret)
    same(publicOf('ed25519', hex(words.root_secret)), words.root_public)
    same(publicOf('x25519', hex(words.recovery_secret)), words.recovery_public)
    same(publicOf('x25519', hex(words.backup_secret)), words.backup_public)
  })
}

const identity = load('identity')
const roles = { root: [0, 'freehold/op-root/1\0'], node: [2, 'freehold/op-node/1\0'], guardian: [4, 'freehold/op-guardian/1\0'] }
function checkOp(vector, index, prev) {
  const op = hex(vector.op)
  assert.deepEqual(decode(op), vector.op_tree)
  same(encode(vector.op_tree), vector.op)
  assert.equal(get(vector.op_tree, 0).uint, '1')
  assert.equal(get(vector.op_tree, 4).uint, String(index))
  if (index > 0) {
    assert.equal(get(vector.op_tree, 6).bytes, identity.person)
    assert.equal(get(vector.op_tree, 8).bytes, prev)
  }
  same(blake3(text('freehold/op-id/1\0'), op), vector.id)
  const signatures = vector.signatures.map(signature => {
    const [role, domain] = roles[signature.role]
    assert.ok(verify(hex(signature.key), Buffer.concat([text(domain), op]), hex(signature.signature)), signature.role)
    for (const [, other] of Object.values(roles).filter(([number]) => number !== role))
      assert.ok(!verify(hex(signature.key), Buffer.concat([text(other), op]), hex(signature.signature)), 'a signature is valid in its domain only')
    const fields = [[0, u(role)], [2, key(signature.key)], [4, b(signature.signature)]]
    if (signature.salt) fields.push([6, b(signature.salt)])
    return { map: fields }
  })
  same(encode({ map: [[0, b(vector.op)], [2, { array: signatures }]] }), vector.signed)
  assert.ok(hex(vector.signed).length <= 3072)
}
identity.log.forEach((vector, index) => check(`identity: ${vector.what}`, () => checkOp(vector, index, identity.log[index - 1]?.id)))
check('identity: tombstone', () => checkOp(identity.tombstone_after_genesis, 1, identity.log[0].id))
check('identity: person', () => {
  same(blake3(text('freehold/person/1'), hex(identity.log[0].op)), identity.person)
  let bits = [...hex(identity.person)].map(byte => byte.toString(2).padStart(8, '0')).join('').padEnd(260, '0')
  assert.equal(bits.match(/.{5}/g).map(five => 'abcdefghijklmnopqrstuvwxyz234567'[parseInt(five, 2)]).join(''), identity.person_text)
  const { key: guardian, salt, commitment } = identity.guardian
  same(blake3(text('freehold/guardian/1\0'), hex(salt), hex(guardian)), commitment)
})

const texts = load('texts')
check('texts: node card', () => {
  const { text: card, sign, kem } = texts.node_card
  const bytes = Buffer.from(card.replace('freehold-node1.', ''), 'base64url')
  const payload = encode({ map: [[0, key(sign)], [2, key(kem)]] })
  same(bytes.subarray(0, -4), payload.toString('hex'))
  same(bytes.subarray(-4), blake3(text('freehold/armour/1\0'), payload).subarray(0, 4).toString('hex'))
})
check('texts: claim', () => {
  const lines = texts.claim.text.trim().split('\n')
  const payload = Buffer.from(lines.slice(1, -1).join(''), 'base64url')
  assert.equal(lines[0], 'freehold claim 1')
  same(payload, texts.claim.payload)
  assert.deepEqual(decode(payload), texts.claim.tree)
  const sum = blake3(text('freehold/armour/1\0'), text('freehold claim 1\n'), payload).subarray(0, 6)
  assert.equal(lines.at(-1), '=' + sum.toString('base64url'))
  const signed = decode(hex(get(texts.claim.tree, 0).array[0].bytes))
  const genesis = hex(get(signed, 0).bytes)
  const [root] = get(signed, 2).array
  assert.ok(verify(hex(get(root, 2).array[1].bytes), Buffer.concat([text('freehold/op-root/1\0'), genesis]), hex(get(root, 4).bytes)))
  const backup = get(texts.claim.tree, 2)
  const backupMessage = Buffer.concat([text('freehold/backup-key/1\0'), blake3(text('freehold/person/1'), genesis), hex(get(backup, 0).bytes)])
  assert.ok(verify(hex(get(root, 2).array[1].bytes), backupMessage, hex(get(backup, 2).bytes)))
})

check('invite', () => {
  const invite = load('invite', new URL('../../node/core/tests/vectors/', import.meta.url))
  const code = Buffer.from(invite.url.split('#')[1], 'base64url')
  assert.equal(code[0], invite.version)
  const map = [[0, b(invite.person)], [2, u(1)], [4, b(invite.node)], [6, b(invite.token)], [8, u(invite.expires)]]
  map.push([10, { array: invite.addresses.map(address => ({ text: address })) }], [11, { text: invite.name }])
  assert.deepEqual(invite.tree, { map })
  same(code.subarray(1), encode(invite.tree).toString('hex'))
  assert.deepEqual(decode(code.subarray(1)), invite.tree)
})
const papers = load('papers')
for (const paper of papers.papers) {
  check(`transfer texts: ${paper.what}`, () => {
    const lines = paper.text.trim().split('\n')
    const payload = Buffer.from(lines.slice(1, -1).join(''), 'base64url')
    assert.equal(lines[0], paper.title)
    same(payload, paper.payload)
    assert.deepEqual(decode(payload), paper.tree)
    const sum = blake3(text('freehold/armour/1\0'), text(`${paper.title}\n`), payload).subarray(0, 6)
    assert.equal(lines.at(-1), '=' + sum.toString('base64url'))
    const ops = get(paper.tree, 0).array.map(signed => decode(hex(signed.bytes)))
    same(blake3(text('freehold/person/1'), hex(get(ops[0], 0).bytes)), papers.person)
    const root = get(get(ops[0], 2).array[0], 2).array[1].bytes
    for (const op of ops) {
      const signed = Buffer.concat([text('freehold/op-root/1\0'), hex(get(op, 0).bytes)])
      assert.ok(verify(hex(root), signed, hex(get(get(op, 2).array[0], 4).bytes)), 'signed by the mnemonic’s root key')
    }
  })
}

function headerOf(fields, bodyLength, bodyHash) {
  const audience = [[0, u(fields.audience.class)]]
  if (fields.audience.class === 2) audience.push([2, b(fields.audience.nonce)], [4, b(fields.audience.commit)])
  const map = [[0, u(1)], [2, b(fields.person)], [4, key(fields.node)], [6, b(fields.lane)], [8, u(fields.epoch)], [10, u(fields.seq)]]
  if (fields.prev) map.push([12, b(fields.prev)])
  map.push([14, u(fields.hlc)], [16, u(fields.kind)])
  if (bodyHash) map.push([18, u(bodyLength)], [20, b(bodyHash)])
  map.push([22, { map: audience }], [24, { array: fields.refs.map(b) }])
  if (fields.expires) map.push([26, u(fields.expires)])
  return encode({ map })
}
function checkEntry(vector) {
  const [header, body] = [hex(vector.header), hex(vector.body)]
  same(headerOf(vector.fields, body.length, blake3(body).toString('hex')), vector.header, 'the header matches its fields')
  decode(header)
  same(blake3(header), vector.id)
  const node = hex(vector.fields.node)
  const signed = Buffer.concat([text('freehold/entry/1\0'), header])
  assert.ok(verify(node, signed, hex(vector.signature)))
  for (let at = 0; at < signed.length; at += 7) {
    const bad = Buffer.from(signed)
    bad[at] ^= 1
    assert.ok(!verify(node, bad, hex(vector.signature)), `byte ${at} changed`)
  }
  assert.ok(header.length <= 1024)
}
for (const vector of load('entries')) {
  check(`entry: ${vector.what}`, () => {
    checkEntry(vector)
    assert.deepEqual(decode(hex(vector.body)), vector.body_tree)
    same(encode(vector.body_tree), vector.body)
    assert.equal(hex(get(vector.body_tree, 0).bytes).length, 16, 'a body begins with a salt')
  })
}

const sealed = load('sealed')
const padme = length => {
  if (length < 2) return length
  const exponent = Math.floor(Math.log2(length))
  const loose = 2 ** (exponent - (Math.floor(Math.log2(exponent)) + 1))
  return Math.ceil(length / Math.max(loose, 1)) * Math.max(loose, 1)
}
check('sealed: lane and padding', () => {
  same(deriveKey('freehold/lane/1', hex(sealed.epoch_key)).subarray(0, 16), sealed.lane)
  for (const [length, padded] of sealed.padme) assert.equal(padme(length), padded)
})
for (const vector of sealed.entries) {
  check(`sealed: ${vector.what}`, () => {
    checkEntry(vector)
    const { nonce, commit } = vector.fields.audience
    assert.deepEqual([vector.fields.kind, vector.fields.refs, vector.fields.lane], [14, [], sealed.lane], 'a mirror sees no more')
    const both = deriveKey('freehold/body/1', Buffer.concat([hex(sealed.epoch_key), hex(nonce)]), 64)
    same(both.subarray(32), commit)
    const place = headerOf(vector.fields)
    const plain = xchachaOpen(both.subarray(0, 32), Buffer.alloc(24), hex(vector.body), place)
    const length = plain.readUInt32BE(0)
    const { kind, refs, body } = vector.opened
    same(plain.subarray(4, 4 + length), encode({ map: [[0, u(kind)], [2, { array: refs.map(b) }], [4, b(body)]] }).toString('hex'))
    assert.equal(plain.length, padme(4 + length))
    assert.ok(plain.subarray(4 + length).every(byte => byte === 0))
    assert.throws(() => xchachaOpen(both.subarray(0, 32), Buffer.alloc(24), hex(vector.body), hex(vector.header)))
  })
}

check('key backup', () => {
  const backup = load('key_backup')
  const info = Buffer.concat([text('freehold/key-backup/1'), hex(backup.person), hex(backup.lane)])
  same(hpkeOpen(hex(backup.recovery_secret), hex(backup.encapsulated), info, hex(backup.wrapped)), backup.epoch_key)
  same(deriveKey('freehold/lane/1', hex(backup.epoch_key)).subarray(0, 16), backup.lane)
})

check('newer: ops and keys of a newer suite', () => {
  const newer = load('newer')
  let prev
  newer.log.forEach((bytes, index) => {
    const signed = decode(hex(bytes))
    same(encode(signed), bytes)
    const op = hex(get(signed, 0).bytes)
    const tree = decode(op)
    assert.equal(get(tree, 4).uint, String(index))
    if (index > 0) assert.deepEqual([get(tree, 6).bytes, get(tree, 8).bytes], [newer.person, prev])
    else same(blake3(text('freehold/person/1'), op), newer.person)
    prev = blake3(text('freehold/op-id/1\0'), op).toString('hex')
    let unverifiable = 0
    for (const signature of get(signed, 2).array) {
      const role = Object.values(roles).find(([number]) => String(number) === get(signature, 0).uint)
      const [suite, bytes] = get(signature, 2).array
      if (!role || suite.uint !== '1') unverifiable++
      else assert.ok(verify(hex(bytes.bytes), Buffer.concat([text(role[1]), op]), hex(get(signature, 4).bytes)))
    }
    assert.equal(unverifiable, newer.unverifiable[index])
  })
  const rotated = decode(hex(get(decode(hex(newer.log[newer.frozen_at])), 0).bytes))
  assert.equal(get(get(rotated, 10), 0).array[0].array[0].uint, '2', 'the first op that is not applied')
  assert.deepEqual(decode(hex(newer.header)), newer.header_tree)
  assert.equal(get(newer.header_tree, 4).array[0].uint, '2')
})

const messages = fs.readFileSync(new URL('../../federation/tests/vectors/messages.txt', import.meta.url), 'utf8')
for (const line of messages.trim().split('\n')) {
  const [what, bytes] = line.split(': ')
  check(`message: ${what}`, () => {
    assert.equal(hex(bytes)[0], 1, 'the version of every message')
    same(encode(decode(hex(bytes).subarray(1))), bytes.slice(2))
  })
}

console.log(`${checks} vectors verified${process.exitCode ? ', some FAILED' : ''}`)
