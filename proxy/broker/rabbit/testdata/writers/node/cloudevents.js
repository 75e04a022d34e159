// Sends one event in binary and one in structured mode, as the CloudEvents SDK for
// JavaScript writes them for HTTP. Usage: node cloudevents.js URL QUEUE
const amqp = require('amqplib');
const { CloudEvent, HTTP } = require('cloudevents');

async function main() {
  const [url, queue] = process.argv.slice(2);
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const event = (id) => new CloudEvent({
    id, source: '/node', type: 't', time: '2024-11-23T07:07:58.901Z', subject: 's', count: 7, flag: true, data: { n: 1 },
  });
  for (const { headers, body } of [HTTP.binary(event('1')), HTTP.structured(event('2'))]) {
    channel.publish('', queue, Buffer.from(body), { headers, contentType: headers['content-type'] });
  }
  await channel.waitForConfirms();
  await connection.close();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
