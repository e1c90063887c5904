"""The MLLP server and client of python-hl7, as somebody would write them from its documentation."""
import asyncio
import json
import sys
import warnings

warnings.filterwarnings("ignore")
import hl7
from hl7.client import MLLPClient
from hl7.mllp import start_hl7_server


async def serve(port):
    async def answer(reader, writer):
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                said = [str(obx[5]) for obx in message.segments("OBX")] if "OBX" in str(message) else []
                print(json.dumps({"control_id": str(message.segment("MSH")[10]), "texts": said}), flush=True)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    server = await start_hl7_server(answer, host="127.0.0.1", port=port, encoding="utf-8")
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


def send(port, file):
    text = open(file, newline="", encoding="utf-8").read().replace("\n", "\r")
    with MLLPClient("127.0.0.1", port) as client:
        answer = client.send_message(hl7.parse(text)).strip(b"\x0b\x1c\r").decode()
    msa = hl7.parse(answer).segment("MSA")
    print(json.dumps({"code": str(msa[1]), "answers": str(msa[2])}))


if sys.argv[1] == "listen":
    asyncio.run(serve(int(sys.argv[2])))
else:
    send(int(sys.argv[2]), sys.argv[3])
