// The server and client of simple-hl7, as somebody would write them from its documentation.
const { createRequire } = require('module');
const fs = require('fs');
const hl7 = createRequire(process.env.PEERS + '/x.js')('simple-hl7');
const [what, port, file] = process.argv.slice(2);

if (what === 'listen') {
  const app = hl7.tcp();
  app.use((req, res, next) => {
    const texts = req.msg.getSegments('OBX').map(obx => String(obx.getField(5)));
    console.log(JSON.stringify({ control_id: String(req.msg.header.getField(8)), texts }));
    next();
  });
  app.use((req, res) => res.end());
  app.use((err, req, res, next) => { console.error(String(err)); res.end(); });
  app.start(Number(port), 'utf8');
  console.log('listening');
} else {
  const text = fs.readFileSync(file, 'utf8').replace(/\n/g, '\r');
  const client = hl7.Server.createTcpClient('127.0.0.1', Number(port));
  client.send(new hl7.Parser().parse(text), (err, ack) => {
    if (err) { console.error(String(err)); process.exit(1); }
    const msa = ack.getSegment('MSA');
    console.log(JSON.stringify({ code: String(msa.getField(1)), answers: String(msa.getField(2)) }));
    process.exit(0);
  });
}
