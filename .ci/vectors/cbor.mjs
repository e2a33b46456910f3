// Deterministic CBOR (RFC 8949 4.2.1) of Freehold's profile: reads and writes the one canonical encoding only.
// Values are {uint}, {bytes}, {text}, {bool}, {array}, {map: [[key, value], …]}, as in the vectors' trees.
export class Refused extends Error {}

function head(major, number) {
  const n = BigInt(number)
  const [info, size] = n < 24n ? [Number(n), 0] : n < 256n ? [24, 1] : n < 65536n ? [25, 2] : n < 4294967296n ? [26, 4] : [27, 8]
  const out = Buffer.alloc(1 + size)
  out[0] = (major << 5) | info
  for (let at = 0; at < size; at++) out[size - at] = Number((n >> BigInt(8 * at)) & 255n)
  return out
}

export function encode(value) {
  if ('uint' in value) return head(0, value.uint)
  if ('bytes' in value) return Buffer.concat([head(2, value.bytes.length / 2), Buffer.from(value.bytes, 'hex')])
  if ('text' in value) return Buffer.concat([head(3, Buffer.byteLength(value.text)), Buffer.from(value.text)])
  if ('bool' in value) return Buffer.from([value.bool ? 0xf5 : 0xf4])
  if ('array' in value) return Buffer.concat([head(4, value.array.length), ...value.array.map(encode)])
  return Buffer.concat([head(5, value.map.length), ...value.map.flatMap(([key, item]) => [head(0, key), encode(item)])])
}

export function decode(bytes) {
  let at = 0
  const need = count => {
    if (at + count > bytes.length) throw new Refused('truncated')
    at += count
    return bytes.subarray(at - count, at)
  }
  const number = info => {
    if (info < 24) return BigInt(info)
    if (info > 27) throw new Refused('indefinite or reserved')
    return need(1 << (info - 24)).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  }
  const length = info => {
    const n = number(info)
    if (n > BigInt(bytes.length)) throw new Refused('too long')
    return Number(n)
  }
  const item = () => {
    const first = need(1)[0]
    const [major, info] = [first >> 5, first & 31]
    switch (major) {
      case 0: return { uint: number(info).toString() }
      case 2: return { bytes: need(length(info)).toString('hex') }
      case 3: return { text: new TextDecoder('utf-8', { fatal: true }).decode(need(length(info))) }
      case 4: return { array: Array.from({ length: length(info) }, item) }
      case 5: {
        let last = -1n
        return {
          map: Array.from({ length: length(info) }, () => {
            const key = item()
            if (!('uint' in key) || BigInt(key.uint) <= last) throw new Refused('keys are rising numbers')
            last = BigInt(key.uint)
            return [Number(key.uint), item()]
          }),
        }
      }
      case 7:
        if (first === 0xf4 || first === 0xf5) return { bool: first === 0xf5 }
    }
    throw new Refused('outside the profile')
  }
  let value
  try {
    value = item()
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(error.message)
  }
  if (at !== bytes.length || !encode(value).equals(bytes)) throw new Refused('not the one encoding')
  return value
}

/** The value at a key of a map. */
export const get = (value, key) => value.map.find(([found]) => found === key)?.[1]
