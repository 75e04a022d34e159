'use strict';

const fs = require('node:fs');

// How much a crash of the whole machine can lose. A crash of this process loses
// nothing, because append returns when the operating system has the line.
const SYNC_EVERY_MS = 1000;

// Journal appends JSON lines to a file, in the same format as the Go services.
class Journal {
  constructor(file) {
    this.fd = fs.openSync(file, 'a+');
    this.cutTornLine(file);
    this.synced = Date.now();
  }

  // An incomplete last line is removed: append never returned for it.
  cutTornLine(file) {
    const content = fs.readFileSync(file);
    const whole = content.lastIndexOf('\n') + 1;
    if (whole < content.length) fs.ftruncateSync(this.fd, whole);
  }

  append(record) {
    fs.writeSync(this.fd, JSON.stringify({ time: new Date().toISOString(), ...record }) + '\n');
    if (Date.now() - this.synced >= SYNC_EVERY_MS) {
      this.synced = Date.now();
      fs.fsyncSync(this.fd);
    }
  }

  close() {
    fs.fsyncSync(this.fd);
    fs.closeSync(this.fd);
  }
}

module.exports = { Journal };
