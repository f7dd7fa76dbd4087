"""Carries bytes between devices and a server, and keeps a copy: carry.py LISTEN TO FILE."""

import asyncio
import sys


async def main(listen, to, file):
    with open(file, "ab") as kept:

        async def pump(reader, writer):
            try:
                while data := await reader.read(65536):
                    kept.write(data)
                    writer.write(data)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        async def carry(reader, writer):
            try:
                other = await asyncio.open_connection("127.0.0.1", to)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pump(reader, other[1]), pump(other[0], writer))
            kept.flush()

        server = await asyncio.start_server(carry, "127.0.0.1", listen)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
