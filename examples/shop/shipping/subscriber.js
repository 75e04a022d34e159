'use strict';

const WINDOW = 64; // maximum of unsettled deliveries
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;
const STABLE_MS = 5000; // after a stream of this length, the backoff starts again
const DRAIN_MS = 3000; // how long sending the last settlements may take

// Subscriber keeps one subscription open until stop is called. It opens a broken stream
// again after a backoff. After stop it takes no more deliveries, waits for the running
// handlers and sends their outcomes.
class Subscriber {
  constructor({ client, subscription, handle, ready, log }) {
    Object.assign(this, { client, subscription, handle, ready, log });
    this.stopping = false;
    this.wake = () => {};
    this.finish = () => {};
  }

  async run() {
    let wait = FIRST_WAIT_MS;
    while (!this.stopping) {
      const begin = Date.now();
      const err = await this.serve();
      if (this.stopping) return;
      if (Date.now() - begin > STABLE_MS) wait = FIRST_WAIT_MS;
      const delay = wait * (0.5 + Math.random() / 2);
      this.log('WARN', 'subscription stream ended', {
        subscription: this.subscription, error: err && err.message, again_in_ms: Math.round(delay),
      });
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      await this.sleep(delay);
    }
  }

  stop() {
    this.stopping = true;
    this.wake();
    this.finish();
  }

  sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  // serve runs one stream. It resolves to the error that ended the stream, or to
  // nothing.
  serve() {
    return new Promise((resolve) => {
      const stream = this.client.subscribe();
      let inFlight = 0;
      let closed = false;

      this.finish = () => {
        if (closed || inFlight > 0) return;
        closed = true;
        stream.end();
        setTimeout(() => stream.cancel(), DRAIN_MS).unref();
      };

      const work = async (delivery) => {
        const settlement = { token: delivery.token, ...await this.handle(delivery) };
        inFlight--;
        if (closed) return;
        stream.write({ settle: { settlements: [settlement] } });
        if (this.stopping) this.finish();
        else stream.write({ credit: { messages: 1 } });
      };

      stream.on('data', (message) => {
        if (message.ready) this.ready(message.ready);
        if (message.deliveries && !this.stopping) {
          for (const delivery of message.deliveries.deliveries) {
            inFlight++;
            work(delivery);
          }
        }
        for (const result of message.settled?.results ?? []) {
          if (result.status) this.log('INFO', 'settlement had no effect', { subscription: this.subscription, reason: result.status.message });
        }
      });
      stream.on('error', (err) => { closed = true; resolve(err); });
      stream.on('end', () => { closed = true; resolve(); });

      stream.write({
        init: { subscription: this.subscription, maxOutstandingMessages: WINDOW, initialCredit: WINDOW },
      });
    });
  }
}

module.exports = { Subscriber };
