"""py-libp2p against the demo's nodes: it connects over TCP, verifies each node's key, reads identify, and pings.
Only js-libp2p tests QUIC: py-libp2p 0.8.1 handles STOP_SENDING, which concerns its sending side, as the end of its receiving side too,
and STOP_SENDING sometimes arrives before it has read the response of identify.

    pylibp2p.py ADDRESSES.JSON
"""
import json
import sys

import multiaddr
import trio
from libp2p import new_host
from libp2p.host.ping import PingService
from libp2p.identity.identify.identify import ID, parse_identify_response
from libp2p.peer.peerinfo import info_from_p2p_addr


async def judge():
    host = new_host()
    addresses = [text for text in json.load(open(sys.argv[1])) if "/tcp/" in text]
    assert len(addresses) == 3, addresses
    async with host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        for text in addresses:
            peer = info_from_p2p_addr(multiaddr.Multiaddr(text))
            with trio.fail_after(20):
                await host.connect(peer)
                stream = await host.new_stream(peer.peer_id, [ID])
                identified = parse_identify_response(await stream.read(8192))
                await stream.close()
                assert "/freehold/sync/1" in identified.protocols, identified.protocols
                [round_trip] = await PingService(host).ping(peer.peer_id)
            print(text, identified.agent_version, "ping", round_trip)


trio.run(judge)
