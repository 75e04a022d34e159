#!/usr/bin/env node
// Publishes events as a pipeline: stream.js TARGET TOPIC PREFIX COUNT
'use strict';

const { again, connect, newEvent, reason, sleep } = require('./sidecar');

const WINDOW = 64; // unanswered events; the sidecar's own window is 1024

class Pipeline {
  constructor(client, topic, events) {
    Object.assign(this, { client, topic });
    this.queue = events.map((event) => ({ event, attempt: 0 })); // to be sent, in order
    this.sent = new Map(); // unanswered, by request id
    this.open = events.length; // neither confirmed nor refused
    this.last = 0; // request id
    this.fill = () => {};
  }

  async run() {
    for (let attempt = 0; this.open > 0; attempt++) {
      const before = this.open;
      const err = await this.stream();
      // What is unanswered is of unknown outcome: it goes back, with its id.
      for (const item of this.sent.values()) {
        console.log('again', item.event.id, 'STREAM_ENDED unknown');
        this.queue.push(item);
      }
      this.sent.clear();
      if (this.open === 0) break;
      if (!err) throw new Error('the sidecar ended the stream');
      if (this.open < before) attempt = 0; // it went on for a while
      const wait = again(err, attempt);
      if (wait === undefined) throw err;
      await sleep(wait);
    }
  }

  // stream lives as long as one PublishStream and resolves to the error that ended
  // it, or to nothing.
  stream() {
    return new Promise((resolve) => {
      const stream = this.client.publishStream();
      this.fill = () => {
        while (this.queue.length > 0 && this.sent.size < WINDOW) {
          const item = this.queue.shift();
          this.sent.set(String(++this.last), item);
          stream.write({ topic: this.topic, entries: [{ requestId: this.last, event: item.event }] });
        }
        if (this.open === 0) stream.end();
      };
      const done = (err) => {
        this.fill = () => {}; // nothing is written to a dead stream
        resolve(err);
      };
      stream.on('data', ({ results }) => {
        try {
          results.forEach((result) => this.settle(result));
          this.fill();
        } catch (err) {
          stream.cancel();
          done(err);
        }
      });
      stream.on('error', done);
      stream.on('end', () => done());
      this.fill();
    });
  }

  // settle takes one result. Results come in any order.
  settle({ requestId, result: { status } }) {
    const item = this.sent.get(requestId);
    this.sent.delete(requestId);
    if (!status) { // no status means OK
      this.open--;
      console.log('confirmed', item.event.id);
      return;
    }
    const wait = again(status, item.attempt++);
    if (wait === undefined) throw Object.assign(new Error(status.message), { code: status.code });
    console.log('again', item.event.id, reason(status));
    setTimeout(() => {
      this.queue.push(item);
      this.fill();
    }, wait);
  }
}

async function main([target, topic, prefix, count]) {
  const client = connect(target);
  const events = Array.from({ length: Number(count) }, (_, n) => newEvent(`${prefix}-${n}`, { n }));
  await new Pipeline(client, topic, events).run();
  client.close();
}

main(process.argv.slice(2)).catch((err) => {
  console.error(err.message);
  process.exit(1);
});
