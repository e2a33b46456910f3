// BLAKE3 (hash, derive_key, extended output), a small implementation of the paper, without parallelism.
const IV = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
const CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8, DERIVE_CONTEXT = 32, DERIVE_MATERIAL = 64

const rotate = (x, n) => ((x >>> n) | (x << (32 - n))) >>> 0

function compress(cv, words, counter, length, flags) {
  const v = [...cv, ...IV.slice(0, 4), counter >>> 0, Math.floor(counter / 2 ** 32), length, flags]
  const mix = (a, b, c, d, x, y) => {
    v[a] = (v[a] + v[b] + x) >>> 0
    v[d] = rotate(v[d] ^ v[a], 16)
    v[c] = (v[c] + v[d]) >>> 0
    v[b] = rotate(v[b] ^ v[c], 12)
    v[a] = (v[a] + v[b] + y) >>> 0
    v[d] = rotate(v[d] ^ v[a], 8)
    v[c] = (v[c] + v[d]) >>> 0
    v[b] = rotate(v[b] ^ v[c], 7)
  }
  let m = words
  for (let round = 0; round < 7; round++) {
    mix(0, 4, 8, 12, m[0], m[1]), mix(1, 5, 9, 13, m[2], m[3]), mix(2, 6, 10, 14, m[4], m[5]), mix(3, 7, 11, 15, m[6], m[7])
    mix(0, 5, 10, 15, m[8], m[9]), mix(1, 6, 11, 12, m[10], m[11]), mix(2, 7, 8, 13, m[12], m[13]), mix(3, 4, 9, 14, m[14], m[15])
    m = ORDER.map(at => m[at])
  }
  return [...Array(8).keys()].map(i => (v[i] ^ v[i + 8]) >>> 0).concat([...Array(8).keys()].map(i => (v[i + 8] ^ cv[i]) >>> 0))
}

function blockWords(bytes) {
  const block = Buffer.alloc(64)
  bytes.copy(block)
  return [...Array(16).keys()].map(i => block.readUInt32LE(i * 4))
}

// A tree node before its last compression. Output: a chaining value, or for the root any number of bytes.
const output = (cv, words, counter, length, flags) => ({
  chain: () => compress(cv, words, counter, length, flags).slice(0, 8),
  root: wanted => {
    const out = Buffer.alloc(Math.ceil(wanted / 64) * 64)
    for (let at = 0; at * 64 < wanted; at++)
      compress(cv, words, at, length, flags | ROOT).forEach((word, i) => out.writeUInt32LE(word, at * 64 + i * 4))
    return out.subarray(0, wanted)
  },
})

function chunk(key, bytes, counter, flags) {
  let cv = key
  const blocks = Math.max(1, Math.ceil(bytes.length / 64))
  for (let at = 0; ; at++) {
    const block = bytes.subarray(at * 64, at * 64 + 64)
    const all = flags | (at === 0 ? CHUNK_START : 0) | (at === blocks - 1 ? CHUNK_END : 0)
    if (at === blocks - 1) return output(cv, blockWords(block), counter, block.length, all)
    cv = compress(cv, blockWords(block), counter, 64, all).slice(0, 8)
  }
}

function tree(key, bytes, counter, flags) {
  if (bytes.length <= 1024) return chunk(key, bytes, counter, flags)
  // The left subtree has the largest power of two of whole chunks that leaves at least one byte for the right.
  let left = 1024
  while (left * 2 < bytes.length) left *= 2
  const one = tree(key, bytes.subarray(0, left), counter, flags).chain()
  const other = tree(key, bytes.subarray(left), counter + left / 1024, flags).chain()
  return output(key, [...one, ...other], 0, 64, flags | PARENT)
}

export const blake3 = (...parts) => tree(IV, Buffer.concat(parts), 0, 0).root(32)

export function deriveKey(context, material, length = 32) {
  const key = tree(IV, Buffer.from(context), 0, DERIVE_CONTEXT).root(32)
  const words = [...Array(8).keys()].map(i => key.readUInt32LE(i * 4))
  return tree(words, material, 0, DERIVE_MATERIAL).root(length)
}
