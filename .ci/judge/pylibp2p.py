"""py-libp2p against the demo's nodes: it connects over TCP, proves each node's key, asks identify, and pings.
QUIC is left to js-libp2p: this one (0.8.1) takes STOP_SENDING, which ends what it sends, for the end of what it reads, too, and
now and then that comes before it has looked at the answer of identify.

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
                told = parse_identify_response(await stream.read(8192))
                await stream.close()
                assert "/freehold/sync/1" in told.protocols, told.protocols
                [took] = await PingService(host).ping(peer.peer_id)
            print(text, told.agent_version, "ping", took)


trio.run(judge)
