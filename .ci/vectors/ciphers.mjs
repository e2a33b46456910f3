// Strict Ed25519, X25519, HKDF, XChaCha20-Poly1305 and HPKE base mode (RFC 9180), on Node's own crypto module.
import crypto from 'node:crypto'

const der = { ed25519: '302a300506032b6570032100', x25519: '302a300506032b656e032100' }
const privateDer = { ed25519: '302e020100300506032b657004220420', x25519: '302e020100300506032b656e04220420' }
const publicKey = (kind, raw) => crypto.createPublicKey({ key: Buffer.concat([Buffer.from(der[kind], 'hex'), raw]), format: 'der', type: 'spki' })
const privateKey = (kind, raw) => crypto.createPrivateKey({ key: Buffer.concat([Buffer.from(privateDer[kind], 'hex'), raw]), format: 'der', type: 'pkcs8' })

export const publicOf = (kind, secret) => crypto.createPublicKey(privateKey(kind, secret)).export({ format: 'der', type: 'spki' }).subarray(12)

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const SMALL_ORDER = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000', '0000000000000000000000000000000000000000000000000000000000000080',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
])

/** Ed25519 like `verify_strict`: no points of small order, no non-canonical scalar. */
export function verify(key, message, signature) {
  const scalar = BigInt('0x' + Buffer.from(signature.subarray(32)).reverse().toString('hex'))
  const weak = [key, signature.subarray(0, 32)].some(point => SMALL_ORDER.has(point.toString('hex')))
  return scalar < L && !weak && crypto.verify(null, message, publicKey('ed25519', key), signature)
}

export const hkdf = (secret, salt, info, length = 32) => Buffer.from(crypto.hkdfSync('sha256', secret, salt, info, length))
export const sha256 = bytes => crypto.createHash('sha256').update(bytes).digest()
const agree = (secret, point) => crypto.diffieHellman({ privateKey: privateKey('x25519', secret), publicKey: publicKey('x25519', point) })

function hchacha20(key, nonce) {
  const word = (bytes, at) => bytes.readUInt32LE(at * 4)
  const s = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]
  for (let i = 0; i < 8; i++) s.push(word(key, i))
  for (let i = 0; i < 4; i++) s.push(word(nonce, i))
  const turn = (x, n) => (x << n) | (x >>> (32 - n))
  const quarter = (a, b, c, d) => {
    s[a] = (s[a] + s[b]) | 0; s[d] = turn(s[d] ^ s[a], 16); s[c] = (s[c] + s[d]) | 0; s[b] = turn(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) | 0; s[d] = turn(s[d] ^ s[a], 8); s[c] = (s[c] + s[d]) | 0; s[b] = turn(s[b] ^ s[c], 7)
  }
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
    quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
  }
  const out = Buffer.alloc(32)
  ;[0, 1, 2, 3, 12, 13, 14, 15].forEach((from, to) => out.writeInt32LE(s[from] | 0, to * 4))
  return out
}

/** Opens ChaCha20-Poly1305; throws when the tag is wrong. */
export function chachaOpen(key, nonce, sealed, data) {
  const cipher = crypto.createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
  cipher.setAAD(data, { plaintextLength: sealed.length - 16 })
  cipher.setAuthTag(sealed.subarray(sealed.length - 16))
  return Buffer.concat([cipher.update(sealed.subarray(0, sealed.length - 16)), cipher.final()])
}

/** Opens XChaCha20-Poly1305 with a 24-byte nonce. */
export const xchachaOpen = (key, nonce, sealed, data) =>
  chachaOpen(hchacha20(key, nonce.subarray(0, 16)), Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]), sealed, data)

/** Opens HPKE: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, no associated data, first message. */
export function hpkeOpen(secret, encapsulated, info, sealed) {
  const hmac = (key, bytes) => crypto.createHmac('sha256', key).update(bytes).digest()
  const extract = (suite, salt, label, bytes) => hmac(salt, Buffer.concat([Buffer.from('HPKE-v1'), suite, Buffer.from(label), bytes]))
  const expand = (suite, key, label, context, length) => {
    const size = Buffer.from([length >> 8, length & 255])
    const whole = Buffer.concat([size, Buffer.from('HPKE-v1'), suite, Buffer.from(label), context])
    return hmac(key, Buffer.concat([whole, Buffer.from([1])])).subarray(0, length)
  }
  const none = Buffer.alloc(32)
  const kem = Buffer.concat([Buffer.from('KEM'), Buffer.from([0, 0x20])])
  const suite = Buffer.concat([Buffer.from('HPKE'), Buffer.from([0, 0x20, 0, 1, 0, 3])])
  const context = Buffer.concat([encapsulated, publicOf('x25519', secret)])
  const shared = expand(kem, extract(kem, none, 'eae_prk', agree(secret, encapsulated)), 'shared_secret', context, 32)
  const empty = Buffer.alloc(0)
  const schedule = Buffer.concat([Buffer.from([0]), extract(suite, none, 'psk_id_hash', empty), extract(suite, none, 'info_hash', info)])
  const prk = extract(suite, shared, 'secret', empty)
  return chachaOpen(expand(suite, prk, 'key', schedule, 32), expand(suite, prk, 'base_nonce', schedule, 12), sealed, empty)
}
