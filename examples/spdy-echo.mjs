// node examples/spdy-echo.mjs [WORD…]
//
// SPDY/3.1 without Kubernetes: a server that sends back what each stream brings, and a client with one stream for each
// word, all on one upgraded connection.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import process from 'node:process';
import { acceptSpdy, dialSpdy } from 'podwire/httpstream';

const PROTOCOL = 'echo.podwire.local';
const words = process.argv.length > 2 ? process.argv.slice(2) : ['one', 'connection,', 'many', 'streams'];

const server = createServer().on('upgrade', (request, socket, head) => {
  const onStream = (incoming) => {
    const stream = incoming.accept();
    stream.pipe(stream);
  };
  // Undefined: what came was no upgrade to SPDY; it has been answered.
  acceptSpdy(request, socket, head, [PROTOCOL], { onStream });
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

const { port } = server.address();
const socket = connect(port, '127.0.0.1');
await once(socket, 'connect');
const { session } = await dialSpdy(socket, {
  path: '/',
  headers: [['Host', `127.0.0.1:${port}`]],
  protocols: [PROTOCOL],
});

const echoes = words.map(async (word) => {
  const stream = await session.openStream({ word });
  stream.setEncoding('utf8').end(word);
  let echo = '';
  stream.on('data', (text) => {
    echo += text;
  });
  await once(stream, 'end');
  return `stream ${stream.id}: ${echo}`;
});
for (const line of await Promise.all(echoes)) console.log(line);

await session.close();
server.close();
