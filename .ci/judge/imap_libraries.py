"""IMAP libraries for Python, each with its most common calls."""
import sys

library, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
if library == "imapclient":
    from imapclient import IMAPClient

    client = IMAPClient("127.0.0.1", port, ssl=False)
    client.login(user, password)
    print(client.capabilities())
    client.select_folder("INBOX")
    found = client.search(["FROM", "example.org"])
    print(client.fetch(found[:3], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS"]))
    newest_first = client.sort(["REVERSE DATE", "SUBJECT"])
    threaded = [number for thread in client.thread("REFERENCES") for number in str(thread).replace("(", " ").replace(")", " ")
                .replace(",", " ").split()]
    if not sorted(newest_first) == sorted(map(int, threaded)) == sorted(client.search()):
        sys.exit(f"SORT, THREAD and SEARCH find different messages: {newest_first}, {threaded}")
    print(client.list_folders())
    client.idle()
    client.idle_check(timeout=1)
    client.idle_done()
    client.logout()
elif library == "imap-tools":
    from imap_tools import MailBoxUnencrypted

    with MailBoxUnencrypted("127.0.0.1", port).login(user, password) as mailbox:
        print([message.subject for message in mailbox.fetch(limit=3)])
elif library == "aioimaplib":
    import asyncio

    import aioimaplib

    async def session():
        client = aioimaplib.IMAP4("127.0.0.1", port)
        await client.wait_hello_from_server()
        print(await client.login(user, password))
        print(await client.select("INBOX"))
        idle = await client.idle_start(timeout=3)
        client.idle_done()
        await asyncio.wait_for(idle, 5)
        await client.logout()

    asyncio.run(session())
else:
    sys.exit(f"unknown library {library}")
