#!/usr/bin/env node
// Publishes events one by one: publish.js TARGET TOPIC PREFIX COUNT
'use strict';

const { again, connect, newEvent, reason, sleep } = require('./sidecar');

// publish resolves when the broker has the event, and rejects when it never will:
// repeating cannot help.
async function publish(client, topic, event) {
  for (let attempt = 0; ; attempt++) {
    const err = await new Promise((resolve) => {
      client.publish({ topic, event }, { deadline: Date.now() + 5000 }, resolve);
    });
    if (!err) return;
    const wait = again(err, attempt);
    if (wait === undefined) throw err;
    console.log('again', event.id, reason(err));
    await sleep(wait);
  }
}

async function main([target, topic, prefix, count]) {
  const client = connect(target);
  for (let n = 0; n < Number(count); n++) {
    const event = newEvent(`${prefix}-${n}`, { n });
    await publish(client, topic, event);
    console.log('confirmed', event.id);
  }
  client.close();
}

main(process.argv.slice(2)).catch((err) => {
  console.error(err.message);
  process.exit(1);
});
