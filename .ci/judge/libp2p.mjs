// js-libp2p, which shares no code with rust-libp2p, against the demo's nodes: it connects over TCP and over QUIC, proves the node's key,
// is told by identify what the node speaks, and pings. A wrong PeerId must be refused.
// The addresses with their PeerIds are left in a file, for a judge that must know them beforehand.
//   libp2p.mjs DEMO.JSON ADDRESSES.JSON
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

// js-libp2p counts on this; Node has it from version 22.
Promise.withResolvers ??= () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}

const npm = join(process.env.FREEHOLD_NPM, 'node_modules')
// The packages lie in the lab, where an import from here does not look for them.
const load = (name) => {
  const entry = JSON.parse(readFileSync(join(npm, name, 'package.json'), 'utf8')).exports['.']
  return import(pathToFileURL(join(npm, name, entry.import ?? entry.default)).href)
}
const [{ createLibp2p }, { tcp }, { noise }, { yamux }, { quic }, { identify }, { ping }, { multiaddr }] = await Promise.all(
  ['libp2p', '@libp2p/tcp', '@chainsafe/libp2p-noise', '@chainsafe/libp2p-yamux', '@chainsafe/libp2p-quic', '@libp2p/identify', '@libp2p/ping',
    '@multiformats/multiaddr'].map(load))

const transports = {
  tcp: { transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] },
  quic: { transports: [quic()] },
}
const people = JSON.parse(readFileSync(process.argv[2], 'utf8')).people
const fail = (text) => { console.error(text); process.exit(1) }
const soon = () => ({ signal: AbortSignal.timeout(10_000) })

const all = {}
for (const [name, options] of Object.entries(transports)) {
  const found = all[name] = []
  const judge = await createLibp2p({ ...options, services: { identify: identify(), ping: ping() } })
  for (const person of people) {
    const address = person.libp2p.find((address) => address.includes(name === 'tcp' ? '/tcp/' : '/quic-v1'))
    if (!address) fail(`${person.name} has no address for ${name}`)
    const told = new Promise((resolve) => judge.addEventListener('peer:identify', (event) => resolve(event.detail), { once: true }))
    const connection = await judge.dial(multiaddr(address), soon())
    const { protocols, agentVersion, listenAddrs } = await told
    for (const wanted of ['hello', 'identity', 'follow', 'sync', 'blob']) {
      if (!protocols.includes(`/freehold/${wanted}/1`)) fail(`${person.name}: no ${wanted} among ${protocols}`)
    }
    if (listenAddrs.length !== 0) fail(`${person.name} tells strangers where it listens: ${listenAddrs}`)
    const took = await judge.services.ping.ping(connection.remotePeer, soon())
    console.log(`${person.name} over ${name}: ${agentVersion}, ping ${took} ms`)
    found.push({ address, peer: connection.remotePeer })
    await connection.close()
  }
  // Every node proves its own key, and only that: Alice's address under Bob's PeerId must not be accepted.
  const dial = ({ address }, { peer }) => judge.dial(multiaddr(`${address}/p2p/${peer}`), soon()).then(() => true, () => false)
  if (!await dial(found[0], found[0])) fail(`${name}: the right PeerId was refused`)
  await judge.hangUp(found[0].peer)
  await judge.hangUp(found[1].peer)
  if (await dial(found[0], found[1])) fail(`${name}: another node's PeerId was accepted`)
  await judge.stop()
}
const whole = Object.values(all).flat().map(({ address, peer }) => `${address}/p2p/${peer}`)
writeFileSync(process.argv[3], JSON.stringify(whole))
process.exit(0)
