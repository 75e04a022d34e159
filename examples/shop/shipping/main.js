#!/usr/bin/env node
// shipping packs every order. It runs on Node and uses only the proto files of Warren,
// which it loads at run time: a service needs no library.
//
//   node main.js --sidecar 127.0.0.1:17400 --proto ../../../api/proto --journal shipping.ndjson
'use strict';

const path = require('node:path');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const { Journal } = require('./journal');
const { Subscriber } = require('./subscriber');

const SUBSCRIPTIONS = ['shipping', 'shipping-next'];

function log(level, msg, fields) {
  process.stderr.write(JSON.stringify({ time: new Date().toISOString(), level, msg, service: 'shipping', ...fields }) + '\n');
}

function newClient(target, protoDir) {
  const definition = protoLoader.loadSync('warren/events/v1/event_service.proto', {
    includeDirs: [protoDir],
    enums: String,
    longs: Number,
  });
  const { EventService } = grpc.loadPackageDefinition(definition).warren.events.v1;
  return new EventService(target, grpc.credentials.createInsecure());
}

// handle packs one order: it records the order, then acknowledges it. An order that
// cannot be recorded is retried.
function handle(journal, subscription) {
  return async (delivery) => {
    try {
      journal.append({
        what: 'delivered',
        id: delivery.event.id,
        subscription,
        topic: delivery.topic,
        attempt: delivery.attempt,
        redelivered: delivery.redelivered,
      });
      return { outcome: 'OUTCOME_ACK' };
    } catch (err) {
      log('ERROR', 'order not recorded', { event_id: delivery.event.id, error: err.message });
      return { outcome: 'OUTCOME_RETRY', reason: 'journal not writable' };
    }
  };
}

async function main() {
  const { values: flags } = parseArgs({
    options: {
      sidecar: { type: 'string', default: '127.0.0.1:17400' },
      proto: { type: 'string', default: path.join(__dirname, '../../../api/proto') },
      journal: { type: 'string', default: 'shipping.ndjson' },
    },
  });
  const journal = new Journal(flags.journal);
  const client = newClient(flags.sidecar, flags.proto);
  const subscribers = SUBSCRIPTIONS.map((subscription) => new Subscriber({
    client,
    subscription,
    handle: handle(journal, subscription),
    ready: (r) => {
      log('INFO', 'subscribed', { subscription: r.subscription, topic: r.topic });
      journal.append({ what: 'ready', subscription, topic: r.topic });
    },
    log,
  }));

  const stop = () => subscribers.forEach((s) => s.stop());
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  await Promise.all(subscribers.map((s) => s.run()));
  client.close();
  journal.close();
}

main().catch((err) => {
  log('ERROR', 'shipping ended', { error: err.message });
  process.exit(1);
});
