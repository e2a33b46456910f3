// js-libp2p, which shares no code with rust-libp2p, against the demo's nodes: it connects over TCP and over QUIC, verifies the node's
// key, reads its protocols by identify, and pings. A wrong PeerId must be refused.
// The addresses with their PeerIds are written to a file, for judges that need the PeerId to connect.
//   libp2p.mjs DEMO.JSON ADDRESSES.JSON
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

// js-libp2p needs this function; Node has it since version 22.
Promise.withResolvers ??= () => {
  const deferred = {}
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

const npm = join(process.env.FREEHOLD_NPM, 'node_modules')
// The packages are in the lab folder, outside the search path of an import.
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
const timeout = () => ({ signal: AbortSignal.timeout(10_000) })

const all = {}
for (const [name, options] of Object.entries(transports)) {
  const found = all[name] = []
  const judge = await createLibp2p({ ...options, services: { identify: identify(), ping: ping() } })
  for (const person of people) {
    const address = person.libp2p.find((address) => address.includes(name === 'tcp' ? '/tcp/' : '/quic-v1'))
    if (!address) fail(`${person.name} has no address for ${name}`)
    const identified = new Promise((resolve) => judge.addEventListener('peer:identify', (event) => resolve(event.detail), { once: true }))
    const connection = await judge.dial(multiaddr(address), timeout())
    const { protocols, agentVersion, listenAddrs } = await identified
    for (const wanted of ['hello', 'identity', 'follow', 'sync', 'blob']) {
      if (!protocols.includes(`/freehold/${wanted}/1`)) fail(`${person.name}: no ${wanted} among ${protocols}`)
    }
    if (listenAddrs.length !== 0) fail(`${person.name} sends its listen addresses to strangers: ${listenAddrs}`)
    const took = await judge.services.ping.ping(connection.remotePeer, timeout())
    console.log(`${person.name} over ${name}: ${agentVersion}, ping ${took} ms`)
    found.push({ address, peer: connection.remotePeer })
    await connection.close()
  }
  // A node must only be accepted under its own PeerId: dial Alice's address with Bob's PeerId.
  const dial = ({ address }, { peer }) => judge.dial(multiaddr(`${address}/p2p/${peer}`), timeout()).then(() => true, () => false)
  if (!await dial(found[0], found[0])) fail(`${name}: the right PeerId was refused`)
  await judge.hangUp(found[0].peer)
  await judge.hangUp(found[1].peer)
  if (await dial(found[0], found[1])) fail(`${name}: another node's PeerId was accepted`)
  await judge.stop()
}
const addresses = Object.values(all).flat().map(({ address, peer }) => `${address}/p2p/${peer}`)
writeFileSync(process.argv[3], JSON.stringify(addresses))
process.exit(0)
