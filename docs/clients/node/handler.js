#!/usr/bin/env node
// Has events pushed to it until SIGTERM: handler.js ADDRESS
'use strict';

const { HealthImplementation } = require('grpc-health-check');
const { EventHandlerService, grpc } = require('./sidecar');

// onEvent is called concurrently, at most as often as the subscription's prefetch;
// call.getDeadline() is the ack deadline. An error of code INVALID_ARGUMENT refuses
// the event for good; any other makes it come again.
function onEvent(call, answer) {
  const { event } = call.request;
  try {
    JSON.parse(event.binaryData);
  } catch {
    console.log('refused', event.id);
    answer({ code: grpc.status.INVALID_ARGUMENT, details: 'not JSON' });
    return;
  }
  console.log('received', event.id);
  answer(null, { outcome: 'OUTCOME_ACK' });
}

const server = new grpc.Server();
server.addService(EventHandlerService.service, { onEvent });
const health = new HealthImplementation({ '': 'SERVING' });
health.addToServer(server);
server.bindAsync(process.argv[2], grpc.ServerCredentials.createInsecure(), (err) => {
  if (err) throw err;
  console.log('ready');
});
process.once('SIGTERM', () => {
  health.setStatus('', 'NOT_SERVING'); // the sidecar takes no more events from the queue
  server.tryShutdown(() => {}); // those in work are answered
});
