"""A proxy that ends TLS in front of a node: python3 tls_front.py ADDRESS CERTIFICATE KEY PORT

It listens at port 443 of ADDRESS and passes what it decrypts to PORT of this machine.
"""
import asyncio
import ssl
import sys


async def pipe(source, target):
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


async def serve(address, certificate, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def pass_on(reader, writer):
        node_reader, node_writer = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.gather(pipe(reader, node_writer), pipe(node_reader, writer), return_exceptions=True)
        for end in (writer, node_writer):
            end.close()

    server = await asyncio.start_server(pass_on, address, 443, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
