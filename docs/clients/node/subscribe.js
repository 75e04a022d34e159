#!/usr/bin/env node
// Receives events until SIGTERM: subscribe.js TARGET SUBSCRIPTION
'use strict';

const { again, connect, sleep } = require('./sidecar');

const WINDOW = 64; // deliveries held at once
let stopping = false;
let close = () => {}; // half-closes the stream there is, when nothing is in work

// work is the service's own. An event may come twice, with the same source and id.
async function work(event) {
  try {
    JSON.parse(event.binaryData);
  } catch {
    console.log('refused', event.id);
    return { outcome: 'OUTCOME_DEAD_LETTER', reason: 'not JSON' };
  }
  console.log('received', event.id);
  return { outcome: 'OUTCOME_ACK' };
}

// receive lives as long as one stream and resolves to the error that ended it, if
// there is one, and whether the sidecar was ready before.
function receive(client, subscription) {
  return new Promise((resolve) => {
    const stream = client.subscribe();
    let inWork = 0;
    let begun = false;
    close = () => { if (inWork === 0) stream.end(); };
    stream.on('data', ({ ready, deliveries }) => {
      if (ready) {
        begun = true;
        console.log('ready');
      }
      if (stopping) return; // left alone: the broker gives them to somebody else
      for (const { token, event } of deliveries?.deliveries ?? []) {
        inWork++;
        work(event).then((settlement) => {
          inWork--;
          if (stream.destroyed) return; // it comes again
          stream.write({ settle: { settlements: [{ token, ...settlement }] } });
          if (stopping) close();
          else stream.write({ credit: { messages: 1 } });
        });
      }
    });
    stream.on('error', (err) => resolve({ err, begun }));
    stream.on('end', () => resolve({ begun }));
    stream.write({ init: { subscription, maxOutstandingMessages: WINDOW } }); // the credit is as much, unless it is said
  });
}

async function main([target, subscription]) {
  const client = connect(target);
  process.once('SIGTERM', () => {
    stopping = true;
    close();
  });
  for (let attempt = 0; !stopping; attempt++) {
    const { err, begun } = await receive(client, subscription);
    if (stopping) break;
    if (!err) throw new Error('the sidecar ended the stream');
    if (begun) attempt = 0;
    const wait = again(err, attempt);
    if (wait === undefined) throw err;
    console.log('again', err.message);
    await sleep(wait);
  }
  client.close();
}

main(process.argv.slice(2)).catch((err) => {
  console.error(err.message);
  process.exit(1);
});
