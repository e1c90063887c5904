// The server and client of @medplum/hl7, as somebody would write them from its documentation.
const { createRequire } = require('module');
const fs = require('fs');
globalThis.WebSocket ??= class {};
const here = createRequire(process.env.PEERS + '/x.js');
const { Hl7Client, Hl7Server } = here('@medplum/hl7');
const { Hl7Message } = here('@medplum/core');
const [what, port, file] = process.argv.slice(2);

(async () => {
  if (what === 'listen') {
    const server = new Hl7Server(connection => {
      connection.addEventListener('message', ({ message }) => {
        const texts = message.getAllSegments('OBX').map(obx => String(obx.getField(5)));
        console.log(JSON.stringify({ control_id: String(message.header.getField(10)), texts }));
        connection.send(message.buildAck());
      });
    });
    await server.start(Number(port));
    console.log('listening');
  } else {
    const text = fs.readFileSync(file, 'utf8').replace(/\n/g, '\r');
    const client = new Hl7Client({ host: '127.0.0.1', port: Number(port) });
    const ack = await client.sendAndWait(Hl7Message.parse(text));
    const msa = ack.getSegment('MSA');
    console.log(JSON.stringify({ code: String(msa.getField(1)), answers: String(msa.getField(2)) }));
    await client.close();
    process.exit(0);
  }
})().catch(e => { console.error(String(e)); process.exit(1); });
