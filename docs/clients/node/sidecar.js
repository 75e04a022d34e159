'use strict';
// What the programs share: stubs made from the proto files at run time, an event,
// and what to do about an error.

const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');

const PROTO = process.env.PROTO || path.join(__dirname, '../../../api/proto');
const definition = protoLoader.loadSync(
  ['warren/events/v1/event_service.proto', 'warren/events/v1/event_handler_service.proto'],
  { includeDirs: [PROTO], enums: String, longs: String },
);
const { EventService, EventHandlerService } = grpc.loadPackageDefinition(definition).warren.events.v1;

// TRIES is how often something is tried, about 10 seconds in all: a program that tries
// for ever hides the cause.
const TRIES = 10;

// connect to the service's own sidecar: same host or pod, hence no TLS.
function connect(target) {
  return new EventService(target, grpc.credentials.createInsecure());
}

function newEvent(id, payload) {
  return {
    id, source: '/clients/node', specVersion: '1.0', type: 'com.shop.order.placed',
    attributes: { datacontenttype: { ceString: 'application/json' } },
    binaryData: Buffer.from(JSON.stringify(payload)),
  };
}

// again says in how many milliseconds the same event, with the same id, should be
// sent again; undefined when that cannot help. attempt counts from 0. A limit that asks
// for no delay, such as that of a message's size, is there the next time, too.
function again(status, attempt) {
  const { UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED } = grpc.status;
  const asked = find(status, 'RetryInfo')?.retryDelay;
  const may = [UNAVAILABLE, DEADLINE_EXCEEDED].includes(status.code) || (status.code === RESOURCE_EXHAUSTED && asked);
  if (attempt + 1 >= TRIES || !may) return undefined;
  const longest = Math.min(100 * 2 ** attempt, 2000);
  const delay = asked ? Number(asked.seconds) * 1000 + asked.nanos / 1e6 : 0;
  return Math.max(delay, longest * (0.5 + Math.random() / 2));
}

// reason is what the sidecar says about an error: CONFIRM_TIMEOUT, for example, and
// whether the broker may have the event: "unknown".
function reason(status) {
  const info = find(status, 'ErrorInfo');
  return info ? `${info.reason} ${info.metadata.outcome ?? 'unknown'}` : `${grpc.status[status.code]} unknown`;
}

// Details come as google.protobuf.Any: in the status of a result, and in a trailer
// when a call fails.
const details = protobuf.loadSync(path.join(__dirname, '../error_details.proto'));

function find(status, name) {
  let list = status.details;
  if (status.metadata) {
    const [trailer] = status.metadata.get('grpc-status-details-bin');
    list = trailer ? details.lookupType('Status').decode(trailer).details : [];
  }
  const any = (list ?? []).find((d) => (d.type_url ?? d.typeUrl).endsWith('/google.rpc.' + name));
  return any && details.lookupType(name).decode(any.value);
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

module.exports = { EventHandlerService, again, connect, grpc, newEvent, reason, sleep };
